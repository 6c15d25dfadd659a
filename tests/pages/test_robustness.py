"""The part of Results that makes its images worse, through AppTest."""

from __future__ import annotations

import numpy as np
import pytest

from mnist_core.config import TrainConfig
from mnist_core.data.loading import load_dataset
from mnist_core.inference.corruptions import CORRUPTIONS
from mnist_core.inference.predictor import Predictor
from mnist_core.inference.robustness import robustness, verdict
from mnist_core.runs.execute import execute
from mnist_core.runs.run import create_run
from tests.helpers.pages import finished_run, visit, words

PAGE = "pages/results.py"


@pytest.fixture(autouse=True)
def _no_mnist(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MNIST_LAB_DATA", str(tmp_path / "data"))


def told(checkpoint, corruption: str) -> str:
    """The sentence on all 360 test images."""
    data = load_dataset("digits")
    found = robustness(Predictor(checkpoint).network, data.test_images, data.test_labels, corruption)
    return verdict(found)


def plain(app) -> str:
    return words(app).replace("\\", "")


def test_nothing_is_computed_before_a_corruption_is_chosen():
    run = finished_run()
    app = visit(PAGE, model=run.id)
    assert not app.exception
    assert "Choose one: the model reads them at eight strengths" in words(app)
    assert "corruption" not in app.query_params
    app.button_group(key="results-corruption").set_value("rotation").run()
    assert not app.exception
    assert told(run.checkpoint(), "rotation") in plain(app)
    assert app.query_params["corruption"] == "rotation"


def test_the_address_opens_a_corruption_and_keeps_it():
    run = finished_run()
    app = visit(PAGE, model=run.id, **{"results-corruption": "shift"})
    assert told(run.checkpoint(), "shift") in plain(app)
    app.selectbox(key=f"confusion-{run.id}-digits-true").select(3).run()
    assert (app.query_params["corruption"], app.query_params["true"]) == ("shift", "3")
    assert app.query_params["model"] == run.id


def test_two_models_are_broken_side_by_side():
    run, other = finished_run(), finished_run(seed=1)
    beside = {f"robustness-beside-{run.id}": [other.id]}
    app = visit(PAGE, model=run.id, **{"results-corruption": "noise"}, **beside)
    assert not app.exception
    assert not app.error
    for each in (run, other):
        assert told(each.checkpoint(), "noise") in plain(app)


def test_all_corruptions_are_a_table():
    run = finished_run()
    app = visit(PAGE, model=run.id, **{"results-corruption": "all"})
    assert not app.exception
    table = next(each.value for each in app.dataframe if "corruption" in each.value)
    assert table["corruption"].tolist() == [kind.title for kind in CORRUPTIONS.values()]
    fails = next(name for name in table if name.endswith("fails at"))
    for name, said in zip(CORRUPTIONS, table[fails], strict=True):
        expected = told(run.checkpoint(), name)
        assert f"fails at {said}:" in expected or (said == "bears all levels" and "does not fail" in expected)


def test_colour_and_many_classes_are_broken_too(tmp_path):
    random = np.random.default_rng(0)
    labels = np.tile(np.arange(47), 8)
    shades = 5 * labels[:, None, None, None] + random.integers(0, 20, (376, 20, 20, 3))
    np.savez(tmp_path / "colour.npz", images=shades.astype(np.uint8), labels=labels)
    run = create_run(TrainConfig(dataset=f"npz:{tmp_path / 'colour.npz'}", model="small-cnn", epochs=1))
    execute(run)
    app = visit(PAGE, model=run.id, **{"results-corruption": "noise"})
    assert not app.exception
    assert not app.error
    group = app.button_group(key="results-corruption")
    assert "Thicker strokes" not in str(group.options)
    group.set_value("occlusion").run()
    assert not app.exception
    assert "A square of the picture's ground" in words(app)


def test_an_unknown_corruption_is_a_sentence():
    run = finished_run()
    app = visit(PAGE, model=run.id, **{"results-corruption": "<b>fog"})
    assert not app.exception
    assert any("There is no corruption" in warning.value for warning in app.warning)
