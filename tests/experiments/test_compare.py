import csv
import io
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mnist_core.config import TrainConfig
from mnist_core.errors import RunError
from mnist_core.experiments import compare
from mnist_core.experiments.compare import (
    curves_csv,
    differing,
    incomparable,
    record,
    seconds_left,
    table,
    to_csv,
    to_json,
)
from mnist_core.models.checkpoint import save_checkpoint
from mnist_core.models.classifier import build_model
from mnist_core.recipes import get_recipe
from mnist_core.runs.execute import execute
from mnist_core.runs.run import create_run
from tests.helpers.events import append, end, epoch, start, step, validation


def written(events: list[dict], **settings):
    run = create_run(TrainConfig(dataset="digits", **settings))
    append(run, *events)
    return run


@pytest.fixture
def three():
    """Two whole runs that differ in two settings, and one that has only just begun."""
    first = [start(), *map(step, (1, 2, 3, 4)), epoch(1, 8.0, 0.4, 0.95), *map(step, (5, 6, 7, 8)), epoch(2, 10.0)]
    second = [start(), step(1), validation(2, 0.2, 0.8)]
    return [
        record(written([*first, end(train_seconds=18.0, test_accuracy=0.97)], dropout=0.5)),
        record(written(second, dropout=0.25, batch_norm=False)),
        record(written([], dropout=0.5)),
    ]


# ---- reading --------------------------------------------------------------------------------------------------------


def test_a_record_holds_curves_over_every_axis(three):
    whole, begun, blank = (one.history for one in three)
    assert whole.train.step.tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert whole.train.epoch.tolist() == [0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2]
    np.testing.assert_allclose(whole.train.seconds, [2, 4, 6, 8, 10.5, 13, 15.5, 18])
    np.testing.assert_allclose(whole.train.loss, 1 / np.arange(1, 9))
    assert (whole.validation.step.tolist(), whole.validation.loss.tolist()) == ([4, 8], [0.4, 0.5])
    assert (begun.validation.epoch.tolist(), begun.validation.accuracy.tolist()) == ([0.5], [0.8])
    assert len(blank.train.step) == len(blank.validation.loss) == 0


def test_figures_are_best_and_last_of_validation_and_the_end(three):
    whole, begun, blank = (one.figures for one in three)
    assert whole == {
        "best_val_accuracy": 0.95,
        "best_val_loss": 0.4,
        "last_val_accuracy": 0.9,
        "last_val_loss": 0.5,
        "test_accuracy": 0.97,
        "val_images": 40,
        "test_images": None,
        "parameters": 70,
        "train_seconds": 18.0,
    }
    assert (begun["test_accuracy"], begun["best_val_loss"]) == (None, 0.2)
    assert set(blank.values()) == {None}


@pytest.mark.parametrize(
    "damage",
    [
        {"event": "step", "step": "two", "loss": 1.0, "accuracy": 0.5},
        {"event": "step", "step": 2, "loss": None, "accuracy": 0.5},
        {"event": "step", "step": 2, "loss": float("nan"), "accuracy": 0.5},
        {"event": "epoch", "step": [4], "val_loss": {}, "val_accuracy": 1.0, "seconds": 1},
        {"event": ["epoch"], "step": 4},
        {"event": "end", "step": 8, "train_seconds": "long", "test_accuracy": "good"},
        {"event": "start", "steps_per_epoch": None, "train_images": "many"},
    ],
)
def test_damaged_events_are_left_out(damage):
    found = record(written([start(), step(1), damage, step(3), epoch(1, 8.0)]))
    assert found.history.train.step.tolist() == [1, 3]
    np.testing.assert_allclose(found.history.train.seconds, [2, 6])
    assert found.figures["test_accuracy"] is None
    json.loads(to_json([found]))


def test_a_damaged_config_is_refused_with_a_sentence():
    run = written([start()])
    (run.folder / "config.json").write_text("{")
    with pytest.raises(RunError, match=r"damaged"):
        record(run)


def test_a_real_run_has_its_cards_figures():
    run = create_run(get_recipe("quick").config("digits").replace(epochs=2))
    execute(run)
    found = record(run)
    card = json.loads((run.checkpoint() / "card.json").read_text())
    assert found.state == "completed"
    assert found.figures["test_accuracy"] == card["metrics"]["test_accuracy"]
    assert found.figures["last_val_accuracy"] == card["metrics"]["val_accuracy"]
    assert found.figures["parameters"] == card["parameters"]
    assert found.figures["train_seconds"] == pytest.approx(card["train_seconds"], abs=0.002)
    assert np.all(np.diff(found.history.train.seconds) > 0)


def test_time_left_follows_the_pace_of_finished_epochs(tiny_data):
    def begun(epochs: int, done: int, seconds: float, state: str):
        run = create_run(TrainConfig(dataset="digits", epochs=epochs))
        if done:
            save_checkpoint(
                run.folder / "checkpoints" / f"epoch-{done:03d}",
                build_model(run.config(), tiny_data.shape),
                name=run.id,
                architecture="small-cnn",
                classes=list(tiny_data.classes),
                input_shape=tuple(tiny_data.train_images.shape[1:]),
                dataset="digits",
                config=run.config(),
                epoch=done,
                step=done,
                train_seconds=seconds,
            )
        run.set_status(state)
        return run

    waiting = begun(4, 0, 0.0, "queued")
    assert seconds_left([waiting]) is None
    ended = begun(4, 4, 10.0, "completed")
    assert seconds_left([ended]) == 0
    assert seconds_left([ended, waiting]) == pytest.approx(2.5 * 4)
    stopped = begun(4, 1, 5.0, "stopped")
    assert seconds_left([ended, stopped, waiting]) == pytest.approx(15 / 5 * 4)
    half = begun(2, 1, 1.0, "running")
    with half.lock:  # or nobody would believe that it runs
        assert seconds_left([half, ended]) == pytest.approx(11 / 5 * 1)


# ---- comparing and exporting ----------------------------------------------------------------------------------------


def test_only_settings_that_differ_are_columns(three):
    assert differing(three) == ["batch_norm", "dropout"]
    assert differing(three[:1]) == differing([]) == []
    assert differing([three[0], three[2]]) == []
    rows = table(three)
    assert [row["dropout"] for row in rows] == [0.5, 0.25, 0.5]
    assert [row["batch_norm"] for row in rows] == [True, False, True]
    assert list(rows[0])[:5] == ["run", "owner", "state", "batch_norm", "dropout"]
    assert "learning_rate" not in rows[0]


@pytest.mark.parametrize(
    ("settings", "classes", "said"),
    [
        ({}, ("a", "b"), ""),
        ({}, ("B", "a"), ""),
        ({}, ("a", "c"), "tell apart different classes (a, b; a, c)"),
        ({"config": TrainConfig(dataset="digits")}, ("a", "b"), "different datasets (MNIST, digits)"),
        ({"preparation": "whole"}, ("a", "b"), "prepared in different ways"),
    ],
)
def test_runs_of_other_images_or_classes_are_said_to_be(three, settings, classes, said):
    one = replace(three[0], config=TrainConfig(), classes=("a", "b"), preparation="drawing")
    other = replace(one, **{"classes": classes, **settings})
    assert said in incomparable([one, other])
    assert bool(said) == bool(incomparable([one, other]))


@pytest.fixture(params=[2**14, 3])
def at_a_time(request, monkeypatch):
    """A whole series at once, and in parts with a rest."""
    monkeypatch.setattr(compare, "_MEASUREMENTS", request.param)


@pytest.mark.usefixtures("at_a_time")
def test_csv_is_read_back_by_pandas_as_it_was(three):
    read = pd.read_csv(io.BytesIO(curves_csv(three)))
    assert list(read) == ["run", "kind", "step", "epoch", "seconds", "loss", "accuracy"]
    assert len(read) == 8 + 2 + 1 + 1
    for (run_id, kind), rows in read.groupby(["run", "kind"], sort=False):
        series = getattr(next(r for r in three if r.run_id == run_id).history, kind)
        for name, values in vars(series).items():
            assert rows[name].tolist() == values.tolist()
    table_read = pd.read_csv(io.StringIO(to_csv(table(three))))
    assert table_read["test_accuracy"].tolist()[0] == 0.97
    assert table_read["test_accuracy"].isna().tolist() == [False, True, True]


def test_csv_quotes_and_fills_in():
    text = to_csv([{"a": 'x,"y"\nz', "b": 1}, {"b": None, "c": True}])
    assert list(csv.reader(io.StringIO(text))) == [
        ["a", "b", "c"],
        ['x,"y"\nz', "1", ""],
        ["", "", "True"],
    ]
    assert to_csv([]).strip() == ""


@pytest.mark.usefixtures("at_a_time")
def test_json_holds_configs_figures_and_curves(three):
    read = json.loads(to_json(three))
    assert read["differing"] == ["batch_norm", "dropout"]
    assert [run["run_id"] for run in read["runs"]] == [one.run_id for one in three]
    assert TrainConfig(**read["runs"][1]["config"]) == three[1].config
    assert read["runs"][0]["train"]["loss"] == three[0].history.train.loss.tolist()
    assert read["runs"][0]["figures"] == three[0].figures
    for run, one in zip(read["runs"], three, strict=True):
        assert run["validation"] == {name: values.tolist() for name, values in vars(one.history.validation).items()}
