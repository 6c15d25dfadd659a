"""The buttons of a run's panel on the Train page, through AppTest; the worker's part is played by hand."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

import pytest
from streamlit.testing.v1 import AppTest

from mnist_core.models.checkpoint import read_card
from mnist_core.recipes import get_recipe
from mnist_core.runs.execute import execute
from mnist_core.runs.queue import Queue
from mnist_core.runs.run import Run, create_run, list_runs
from mnist_core.system.settings import runs_folder
from tests.helpers.pages import visit, words

pytestmark = pytest.mark.usefixtures("no_mnist_and_no_workers")
PAGE = "pages/train.py"
CONFIG = get_recipe("quick").config("digits").replace(epochs=2, dropout=0.1)


@contextlib.contextmanager
def executed(state: str, reason: str = "", stepping: bool = False) -> Iterator[Run]:
    """A run that looks as if a process had it."""
    run = create_run(CONFIG)
    with run.lock:
        run.set_status(state, reason, stepping)
        yield run


def button(app: AppTest, label: str):
    return next(each for each in app.button if each.label == label)


def labels(app: AppTest) -> list[str]:
    return [each.label for each in app.button]


def stopped_run() -> Run:
    run = create_run(CONFIG)
    execute(run, on_event=lambda event: run.command("stop") if event.get("step") == 3 else None)
    assert run.status().state == "stopped"
    return run


def test_a_running_run_can_be_paused_and_changed_but_not_stepped():
    with executed("running") as run:
        app = visit(PAGE)
        assert button(app, "Step batch").disabled
        assert button(app, "Step epoch").disabled
        assert "Resume" not in labels(app)
        assert "Restart" not in labels(app)
        button(app, "Pause").click().run()
        assert run.control().command == "pause"


def test_a_paused_run_takes_a_step_for_each_click():
    with executed("paused") as run:
        app = visit(PAGE)
        button(app, "Step batch").click().run()
        button(app, "Step batch").click().run()
        button(app, "Step epoch").click().run()
        assert [kind for _, kind in run.control().steps] == ["batch", "batch", "epoch"]
        button(app, "Resume").click().run()
        assert (run.control().command, run.control().steps) == ("run", ())


def test_a_step_under_way_is_shown_and_another_can_be_requested():
    with executed("running", stepping=True) as run:
        app = visit(PAGE)
        assert "Stepping" in words(app)
        button(app, "Step batch").click().run()
        assert len(run.control().steps) == 1


def test_a_change_is_asked_for_and_waits_for_the_next_batch():
    with executed("paused") as run:
        app = visit(PAGE)
        changes = [each for each in app.slider if each.label == "Dropout" and str(each.key).startswith("change-")]
        assert changes[0].value == 0.1
        changes[0].set_value(0.5)
        button(app, "Apply").click().run()
        assert not app.exception
        assert [wanted for _, wanted in run.control().changes] == [{"dropout": 0.5}]
        app.run()
        assert "From the next batch on: dropout 0.5." in words(app)
        event = {"event": "change", "step": 3, "field": "dropout", "from": 0.1, "to": 0.5}
        (number,) = (number for number, _ in run.control().changes)
        (run.folder / "metrics.jsonl").write_text(json.dumps({**event, "asked": number}) + "\n")
        app.run()
        assert "From the next batch on" not in words(app)
        changes = [each for each in app.slider if each.label == "Dropout" and str(each.key).startswith("change-")]
        assert changes[0].value == 0.5
        button(app, "Apply").click().run()
        assert "Nothing is set differently." in words(app)
        assert len(run.control().changes) == 1


def test_restart_keeps_the_seed_and_new_seed_changes_it():
    first = stopped_run()
    app = visit(PAGE)
    button(app, "Restart").click().run()
    (again,) = Queue(runs_folder()).waiting()
    assert again.config() == first.config()
    Queue(runs_folder()).cancel(again)
    app = visit(PAGE)
    button(app, "New seed").click().run()
    (other,) = Queue(runs_folder()).waiting()
    assert other.config().differences(first.config()).keys() == {"seed"}
    assert len(list_runs()) == 3


def test_a_stopped_run_is_evaluated_on_request_and_only_once():
    run = stopped_run()
    app = visit(PAGE)
    assert "Test accuracy" not in [metric.label for metric in app.metric]
    assert "chooses nothing" in button(app, "Evaluate on test").help
    button(app, "Evaluate on test").click().run()
    assert not app.exception
    accuracy = read_card(run.checkpoint()).metrics["test_accuracy"]
    assert next(m for m in app.metric if m.label == "Test accuracy").value == f"{accuracy:.2%}"
    assert "Evaluate on test" not in labels(app)


def test_early_stopping_is_an_option_and_said_when_it_happened():
    app = visit(PAGE)
    next(each for each in app.slider if each.label.startswith("Early stopping")).set_value(3).run()
    assert "Changed: patience 3" in words(app)
    button(app, "Run").click().run()
    (run,) = Queue(runs_folder()).waiting()
    assert run.config().patience == 3
    Queue(runs_folder()).remove(run)
    run.finish("completed", "Stopped early after epoch 5: validation was best in epoch 2.")
    assert "Stopped early after epoch 5" in words(visit(PAGE))


@pytest.mark.parametrize("line", ['{"event": "change", "step": 3, "field": ["x"], "to": 2, "asked": 1}', "7"])
def test_a_damaged_change_event_does_not_break_the_page(line):
    with executed("paused") as run:
        (run.folder / "metrics.jsonl").write_text(line + "\n")
        app = visit(PAGE)
        assert not app.exception
        assert "Apply" in labels(app)
