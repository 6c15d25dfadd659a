"""A person's own pictures on the pages: how they are prepared, what their classes are called, what looks wrong."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from mnist_core.data import loading
from mnist_core.data.loading import load_dataset
from mnist_core.recipes import get_recipe
from mnist_core.runs.execute import execute
from mnist_core.runs.run import create_run
from tests.helpers.files import encoded, write_folder
from tests.helpers.pages import drawn_seven, visit, words

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@pytest.fixture(autouse=True)
def _no_mnist(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MNIST_LAB_DATA", str(tmp_path / "data"))


def dark_digits(root, names=WORDS, each=10):
    """The built-in digits in black on white, each of another size."""
    digits, random, files = load_dataset("digits"), np.random.default_rng(0), {}
    images, labels = digits.train_images[:, 0], digits.train_labels
    for label, name in enumerate(names):
        for row in np.flatnonzero(labels == label)[:each]:
            side = int(random.integers(60, 200))
            files[f"{name}/{row}.png"] = encoded(np.array(Image.fromarray(255 - images[row]).resize((side, side))))
    return write_folder(root, files)


def open_own(page: str, label: str, path, **state):
    app = visit(page, **state)
    next(box for box in app.selectbox if box.label == label).select("folder").run()
    next(box for box in app.text_input if box.label.startswith("Folder")).set_value(str(path)).run()
    assert not app.exception
    return app


def test_results_offers_a_mapping_and_takes_it(tmp_path):
    app = open_own("pages/results.py", "Test images of", dark_digits(tmp_path / "set"))
    assert "names its classes otherwise" in words(app)
    assert not app.metric
    use = next(button for button in app.button if button.label == "Use this mapping")
    use.click().run()
    assert not app.exception
    accuracy = next(metric for metric in app.metric if metric.label == "Accuracy")
    assert float(accuracy.value.rstrip("%")) > 80
    assert "as drawings" in words(app)


def test_other_names_cannot_be_used_before_they_are_mapped(tmp_path):
    app = open_own("pages/results.py", "Test images of", dark_digits(tmp_path / "set", "abcdefghij"))
    assert next(button for button in app.button if button.label == "Use this mapping").disabled
    assert not app.metric


def test_the_data_page_shows_both_preparations(tmp_path):
    app = open_own("pages/data.py", "Dataset", dark_digits(tmp_path / "set"))
    assert "Preparation as drawings" in words(app)
    assert "28×28 pixels, grey" in words(app)
    choice = next(group for group in app.button_group if group.label == "Prepare its pictures")
    choice.set_value("whole").run()
    assert not app.exception
    assert "Preparation as a whole" in words(app)


def test_train_and_draw_say_how_pictures_are_prepared(tmp_path):
    path = dark_digits(tmp_path / "set")
    app = open_own("pages/train.py", "Dataset", path)
    assert "Preparation as drawings" in words(app)
    run = create_run(get_recipe("quick").config(f"folder:{path}").replace(preparation="whole"))
    execute(run)
    app = visit("pages/draw.py", model=run.id, **{"canvas-0": drawn_seven()})
    assert not app.exception
    card = json.loads((run.checkpoint() / "card.json").read_text())
    assert card["config"]["preparation"] == "whole"
    assert card["mean"][0] > 0.5
    assert "dark on light" in words(app)


def test_train_reads_a_folder_once_for_each_preparation(tmp_path, monkeypatch):
    read: list[str] = []
    load = loading.load_pictures

    def counted(root, progress, preparation, *further):
        read.append(preparation)
        return load(root, progress, preparation, *further)

    monkeypatch.setattr(loading, "load_pictures", counted)
    path = dark_digits(tmp_path / "set")
    app = open_own("pages/train.py", "Dataset", path)
    assert read == ["auto"]
    next(box for box in app.selectbox if box.label == "Preparation of pictures").select("whole").run()
    assert "Preparation as a whole" in words(app)
    (path / "zero" / "another.png").write_bytes(next(path.glob("zero/*.png")).read_bytes())  # to be read anew
    app.run()
    assert not app.exception
    assert read == ["auto", "whole", "whole"]


def test_a_model_without_a_recorded_preparation_is_named(tmp_path):
    run = create_run(get_recipe("quick").config(f"folder:{dark_digits(tmp_path / 'set')}"))
    execute(run)
    path = run.checkpoint() / "card.json"
    card = json.loads(path.read_text())
    del card["config"]["preparation"]
    path.write_text(json.dumps(card))
    app = visit("pages/results.py", model=run.id)
    assert not app.exception
    assert "not recorded" in words(app)


def test_what_looks_wrong_with_a_dataset_is_shown(tmp_path):
    root = dark_digits(tmp_path / "set")
    loose = root / "unsorted.png"
    loose.write_bytes((next(root.glob("zero/*"))).read_bytes())
    (root / "beside").mkdir()
    app = open_own("pages/data.py", "Dataset", root)
    assert "beside" in words(app) or "unsorted" in words(app)
