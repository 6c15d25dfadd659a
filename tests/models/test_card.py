import json

import numpy as np
import pytest

from mnist_core.config import TrainConfig
from mnist_core.errors import CheckpointError
from mnist_core.models.card import About, Figure, read_about
from mnist_core.models.checkpoint import SHIPPED, read_card, update_card
from mnist_core.runs.execute import execute
from mnist_core.runs.run import create_run
from tests.helpers.files import encoded, write_folder

WHOLE = {
    "data": ["MNIST (LeCun, Cortes, Burges)"],
    "seeds": [0, 1, 2],
    "command": "python -m mnist_core train --recipe tiny",
    "machine": "2 cores",
    "figures": {"test_accuracy": {"mean": 0.996, "std": 0.0003, "seeds": 3}},
    "limits": ["Made for single digits."],
}


def written(tmp_path, content) -> object:
    path = tmp_path / "about.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_a_description_is_read_whole_or_in_part(tmp_path):
    about = read_about(written(tmp_path, WHOLE))
    assert about.model_dump() == WHOLE
    assert about.figures["test_accuracy"] == Figure(mean=0.996, std=0.0003, seeds=3)
    assert read_about(written(tmp_path, {})) == About()


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("nonsense", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ([1], "the file"),
        ({"author": "x"}, "author"),
        ({"seeds": ["a"]}, "seeds.0"),
        ({"figures": {"x": {"mean": 1, "std": -1, "seeds": 1}}}, "figures.x.std"),
        ({"limits": ["x" * 2000]}, "limits.0"),
        ('{"figures": {"x": {"mean": NaN, "seeds": 1}}}', "figures.x.mean"),
    ],
)
def test_what_is_no_description_is_one_sentence(tmp_path, content, named):
    with pytest.raises(CheckpointError, match=named.replace(".", r"\.")) as caught:
        read_about(written(tmp_path, content))
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_one_too_large_are_a_sentence(tmp_path):
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_about(tmp_path / "nothing.json")
    with pytest.raises(CheckpointError, match="too large"):
        read_about(written(tmp_path, "x" * 2_000_000))


def test_export_writes_the_description_and_keeps_it_later(ask, tmp_path):
    path = written(tmp_path, WHOLE)
    first, second = tmp_path / "first", tmp_path / "second"
    assert ask("export", "accurate", str(first), "--about", str(path))[0] == 0
    update_card(first, temperature=0.7)
    assert ask("export", str(first), str(second))[0] == 0
    for folder in (first, second):
        assert read_card(folder).about == About(**WHOLE)
    assert read_card(second).temperature == 0.7
    assert read_card(second).weights_sha256 == read_card(SHIPPED / "accurate").weights_sha256


def test_a_bad_description_is_refused_before_anything_is_written(refused, tmp_path):
    path = written(tmp_path, {"author": "x"})
    assert "author" in refused("export", "accurate", str(tmp_path / "c"), "--about", str(path))
    assert not (tmp_path / "c").exists()


def test_an_older_card_without_the_new_fields_still_loads(tmp_path, ask):
    ask("export", "accurate", str(tmp_path / "c"))
    path = tmp_path / "c" / "card.json"
    old = json.loads(path.read_text())
    for name in ("about", "measured", "temperature"):
        del old[name]
    path.write_text(json.dumps(old))
    card = read_card(tmp_path / "c")
    assert (card.about, card.measured, card.temperature) == (About(), None, 1.0)


@pytest.mark.parametrize("normalization", ["unit", "standard"])
@pytest.mark.parametrize("light", [False, True])
def test_a_card_knows_the_ground_of_its_pictures(tmp_path, normalization, light):
    shades = np.random.default_rng(0).integers(0, 80, (2, 12, 20, 20))
    files = {
        f"{name}/{n}.png": encoded(255 - picture if light else picture)
        for name, pictures in zip("ab", shades, strict=True)
        for n, picture in enumerate(pictures)
    }
    root = write_folder(tmp_path / "set", files)
    config = TrainConfig(
        dataset=f"folder:{root}", model="mlp", epochs=1, normalization=normalization, preparation="whole"
    )
    execute(run := create_run(config, tmp_path / "runs"))
    card = read_card(run.checkpoint())
    assert card.light_ground is light
    assert card.model_copy(update={"ground": None}).light_ground is (light and normalization == "standard")
    drawing = card.config.replace(preparation="drawing")
    assert card.model_copy(update={"config": drawing}).light_ground is False  # drawings are made light on dark
