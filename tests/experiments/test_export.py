import csv
import hashlib
import io
import json
import shlex
import zipfile

import numpy as np
import pytest

from mnist_core import cli
from mnist_core.config import TrainConfig, field_choices
from mnist_core.errors import RunError
from mnist_core.experiments.export import bundle, command
from mnist_core.models.checkpoint import load_checkpoint
from mnist_core.recipes import RECIPES, get_recipe
from mnist_core.runs.execute import execute
from mnist_core.runs.run import create_run


@pytest.fixture
def trained_config(monkeypatch, tiny_data):
    """A command line → the config that the real command line would train."""
    for module in ("loading", "prepare"):  # each has the name, the second from the first
        monkeypatch.setattr(f"mnist_core.data.{module}.load_dataset", lambda name, *_: tiny_data)

    def parse(line: str) -> TrainConfig:
        configs = []
        monkeypatch.setattr("mnist_core.runs.execute.execute", lambda run, *_, **__: configs.append(run.config()))
        words = shlex.split(line)
        assert words[:3] == ["python", "-m", "mnist_core"]
        assert cli.main(words[3:]) == 1  # the run that nobody executed has not completed
        return configs[0]

    return parse


def varied(seed: int) -> TrainConfig:
    """A config with every knob turned somewhere."""
    random = np.random.default_rng(seed)
    return TrainConfig(
        recipe=str(random.choice(list(RECIPES))),
        dataset=str(random.choice(["mnist", "digits"])),
        model=str(random.choice(["small-cnn", "mlp", "two-conv"])),
        activation=str(random.choice(field_choices("activation"))),
        optimizer=str(random.choice(field_choices("optimizer"))),
        schedule=str(random.choice(field_choices("schedule"))),
        keep=str(random.choice(field_choices("keep"))),
        split=str(random.choice(field_choices("split"))),
        labels=str(random.choice(field_choices("labels"))),
        batch_norm=bool(random.integers(2)),
        flip=bool(random.integers(2)),
        erasing=int(random.integers(8)),
        dropout=random.uniform(0, 0.9),
        learning_rate=10 ** random.uniform(-6, 0),
        weight_decay=10 ** random.uniform(-8, 0),
        validation_fraction=random.uniform(0.01, 0.5),
        epochs=int(random.integers(1, 200)),
        seed=int(random.integers(2**31)),
    )


@pytest.mark.parametrize("seed", range(8))
def test_the_command_gives_back_the_same_config(seed, trained_config):
    config = varied(seed)
    assert trained_config(command(config)) == config


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_as_it_is_needs_no_settings(recipe, trained_config):
    config = get_recipe(recipe).config("digits")
    assert command(config) == f"python -m mnist_core train --recipe {recipe} --dataset digits"
    assert trained_config(command(config)) == config


def test_only_what_differs_is_named():
    config = get_recipe("quick").config("mnist").replace(dropout=0.5, batch_norm=False)
    assert command(config) == (
        "python -m mnist_core train --recipe quick --dataset mnist --set batch_norm=false --set dropout=0.5"
    )


@pytest.mark.parametrize("dataset", ["folder:/my pictures/it's $HOME", "drawings:a;rm -rf *.json"])
def test_names_are_quoted_for_a_shell_and_unknown_recipes_stay(dataset, trained_config):
    config = TrainConfig(recipe="my own 'recipe'", dataset=dataset)
    assert trained_config(command(config)) == config


@pytest.fixture
def finished():
    run = create_run(get_recipe("quick").config("digits").replace(epochs=2))
    execute(run)
    return run


def test_a_bundle_holds_the_run(finished, tmp_path):
    with zipfile.ZipFile(io.BytesIO(bundle(finished))) as archive:
        assert archive.testzip() is None
        assert set(archive.namelist()) == {
            "config.json",
            "card.json",
            "model.safetensors",
            "metrics.csv",
            "README.txt",
        }
        archive.extractall(tmp_path / "unpacked")
    unpacked = tmp_path / "unpacked"
    assert TrainConfig(**json.loads((unpacked / "config.json").read_text())) == finished.config()
    card = load_checkpoint(unpacked).card  # weights and card belong together
    assert card.weights_sha256 == hashlib.sha256((unpacked / "model.safetensors").read_bytes()).hexdigest()
    rows = list(csv.DictReader((unpacked / "metrics.csv").open()))
    lines = (finished.folder / "metrics.jsonl").read_text().splitlines()
    assert [row["event"] for row in rows] == [json.loads(line)["event"] for line in lines]
    assert float(rows[1]["loss"]) == json.loads(lines[1])["loss"]
    readme = (unpacked / "README.txt").read_text()
    assert command(finished.config()) in readme
    for name in ("config.json", "card.json", "model.safetensors", "metrics.csv"):
        assert name in readme


def test_what_is_missing_is_said(finished):
    with pytest.raises(RunError, match=r"no model to bundle"):
        bundle(create_run(TrainConfig(dataset="digits")))
    for folder in finished.checkpoints():
        (folder / "model.safetensors").unlink()
    with pytest.raises(RunError, match=r"model\.safetensors cannot be read"):
        bundle(finished)
