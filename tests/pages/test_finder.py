"""The learning-rate finder and the batch-size hint on the Train page, through AppTest, with pretended measurements."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from mnist_core.config import TrainConfig
from mnist_core.runs.measurement import Measurements
from mnist_core.runs.queue import Queue
from mnist_core.runs.run import create_run, list_runs
from mnist_core.system.settings import runs_folder
from tests.helpers.pages import visit, words
from ui import cache

PAGE = "pages/train.py"
RATE = {
    "rates": [1e-4, 1e-3, 1e-2],
    "losses": [2.4, 1.9, 0.6],
    "smoothed": [2.3, 1.8, 0.5],
    "lowest_at": 1e-2,
    "suggestion": 0.005,
    "reason": "The loss was lowest at 0.01. Hence 0.005.",
}
SIZES = {
    "speeds": [
        {"size": 32, "images_per_second": 5000.0, "steps_per_epoch": 39},
        {"size": 256, "images_per_second": 9800.0, "steps_per_epoch": 5},
    ],
    "suggestion": 256,
    "reason": "256: 9,800 images a second.",
}

pytestmark = pytest.mark.usefixtures("no_mnist_and_no_workers")


class Pretended:
    """A measurement that a test ends."""

    def __init__(self, kind: str, config: TrainConfig, *_: object) -> None:
        self.kind, self.config = kind, config
        self.share, self.waiting, self.error, self.result, self.cancelled = 0.4, False, "", None, False

    @property
    def running(self) -> bool:
        return self.result is None and not self.error and not self.cancelled

    def cancel(self) -> None:
        self.cancelled = True


@pytest.fixture
def made(monkeypatch) -> list[Pretended]:
    """The measurements that the page has begun."""
    found: list[Pretended] = []

    def make(*given):
        found.append(Pretended(*given))
        return found[-1]

    monkeypatch.setattr(cache, "_measurements", Measurements(make))
    return found


def button(app: AppTest, key: str):
    return next((each for each in app.button if each.key == key), None)


def knob(app: AppTest, label: str):
    return next(each for each in app.select_slider if each.label == label)


def test_a_suggested_rate_is_taken_into_the_settings(made):
    app = visit(PAGE)
    next(each for each in app.slider if each.label == "Dropout").set_value(0.25).run()
    button(app, "measure-learning-rate").click().run()
    assert not app.exception
    (measurement,) = made
    assert (measurement.kind, measurement.config.dropout) == ("learning-rate", 0.25)
    assert button(app, "measure-learning-rate") is None
    measurement.result = RATE
    app.run()
    assert RATE["reason"] in words(app)
    button(app, "take-learning_rate").click().run()
    assert not app.exception
    assert knob(app, "Learning rate").value == 0.005
    assert next(each for each in app.slider if each.label == "Dropout").value == 0.25
    assert button(app, "take-learning_rate").disabled
    assert list_runs() == []


def test_a_suggested_size_is_taken_and_asks_for_another_rate(made):
    app = visit(PAGE)
    button(app, "measure-batch-size").click().run()
    made[0].result = SIZES
    app.run()
    assert SIZES["reason"] in words(app)
    button(app, "take-batch_size").click().run()
    assert knob(app, "Batch size").value == 256
    assert button(app, "measure-learning-rate") is not None


def test_a_disturbed_measurement_suggests_nothing_but_again(made):
    app = visit(PAGE)
    button(app, "measure-batch-size").click().run()
    made[0].result = {**SIZES, "suggestion": None, "reason": "Other programs had the processor."}
    app.run()
    assert "Other programs had the processor." in words(app)
    assert button(app, "take-batch_size") is None
    again = button(app, "measure-batch-size")
    assert again.label == "Measure again"
    again.click().run()
    assert len(made) == 2
    assert button(app, "cancel-batch-size") is not None


def test_a_measurement_is_cancelled_and_may_begin_again(made):
    app = visit(PAGE)
    button(app, "measure-learning-rate").click().run()
    button(app, "cancel-learning-rate").click().run()
    assert not app.exception
    assert made[0].cancelled
    assert button(app, "measure-learning-rate") is not None


def test_what_went_wrong_is_said_and_may_be_tried_again(made):
    app = visit(PAGE)
    button(app, "measure-learning-rate").click().run()
    made[0].error = "An epoch has 2 batches."
    app.run()
    assert any("An epoch has 2 batches" in error.value.replace("\\", "") for error in app.error)
    button(app, "measure-learning-rate").click().run()
    assert len(made) == 2


def test_beside_a_training_nothing_is_measured(made):
    run = create_run(TrainConfig(recipe="quick", dataset="digits"))
    Queue(runs_folder()).add(run)
    app = visit(PAGE)
    assert button(app, "measure-learning-rate").disabled
    assert "each would disturb the other" in words(app)


def test_other_settings_are_another_measurement(made):
    app = visit(PAGE)
    button(app, "measure-learning-rate").click().run()
    made[0].result = RATE
    app.run()
    knob(app, "Batch size").set_value(128).run()
    assert RATE["reason"] not in words(app)
    knob(app, "Batch size").set_value(64).run()
    assert RATE["reason"] in words(app)


@pytest.mark.parametrize("name", ["finder", "learning_rate", "settings"])
def test_what_a_link_hides_is_not_there(name):
    app = visit("home.py")
    app.query_params["hide"] = name
    app.switch_page(PAGE).run()
    assert not app.exception
    assert button(app, "measure-learning-rate") is None
