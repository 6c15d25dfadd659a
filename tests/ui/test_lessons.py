"""Lessons as data: what a file may say, which option is right, and whose runs count."""

from __future__ import annotations

import json

import pytest

from mnist_core.inference.interval import accuracy_text
from mnist_core.models.architectures import has_dropout
from mnist_core.runs.run import create_run
from tests.helpers.pages import finished_run, visit, words
from ui.lessons.lesson import FOLDER, PAGES, Guess, LessonError, get_lesson, lessons, read
from ui.lessons.progress import ended_runs, filled, find_run, measured, outcome
from ui.page import MENU

pytestmark = pytest.mark.usefixtures("no_workers")

STEPS = """
[[steps]]
title = "One"
text = "First."
[[steps]]
title = "Two"
text = "Second."
"""


def write(tmp_path, text: str):
    path = tmp_path / "mine.toml"
    path.write_text('title = "T"\nabout = "A"\nminutes = 1\norder = 1\n' + text, encoding="utf-8")
    return path


def two_runs(**more: object) -> Guess:
    return Guess(
        question="?", options=["first", "alike", "second"], measure="gap", runs=["a", "b"], tolerance=0.02, **more
    )


def test_there_are_six_and_their_names_are_their_addresses():
    assert list(lessons()) == ["dropout", "learning-rate", "data", "label-noise", "convolution", "handwriting"]
    assert {path.stem for path in FOLDER.glob("*.toml")} == set(lessons())
    assert set(PAGES) <= {label.lower() for _, label, _ in MENU}


def test_every_guess_is_made_before_its_run_and_revealed():
    for lesson in lessons().values():
        asked = [number for number, step in enumerate(lesson.steps, 1) if step.guess is not None]
        trained = [number for number, step in enumerate(lesson.steps, 1) if step.run is not None or step.counted]
        assert asked
        assert min(trained) > max(asked)
        assert [step.reveal for step in lesson.steps if step.reveal is not None] == asked
        assert {step.run for step in lesson.steps if step.run} == set(lesson.runs)


def test_no_training_is_that_of_another_step():
    trainings = [str(training.config) for lesson in lessons().values() for training in lesson.runs.values()]
    assert len(trainings) == len(set(trainings))  # or a step would be done before somebody comes to it


def test_dropout_is_learned_with_a_network_that_has_some():
    for training in get_lesson("dropout").runs.values():
        assert has_dropout(training.config.model)
        assert training.config.snapshots  # Replay is one of its steps


@pytest.mark.parametrize(
    ("values", "right"), [([0.3, 0.1], 0), ([0.1, 0.3], 2), ([0.1, 0.115], 1), ([0.115, 0.1], 1), ([0.1, 0.121], 2)]
)
def test_of_two_runs_the_larger_value_is_right(values, right):
    assert two_runs().outcome(values) == right


@pytest.mark.parametrize(("value", "right"), [(0.0, 0), (0.49, 0), (0.5, 1), (0.79, 1), (0.8, 2), (1.0, 2)])
def test_of_one_run_the_range_of_its_value_is_right(value, right):
    guess = Guess(question="?", options=["few", "some", "many"], measure="val_accuracy", runs=["a"], bounds=[0.5, 0.8])
    assert guess.outcome([value]) == right


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (STEPS.replace("Second.", "{none.gap:.1%}"), "names trainings that there are not: none"),
        (STEPS.replace('text = "First."', 'text = "First."\npage = "nowhere"'), "step 1 is on no page"),
        (STEPS.replace('text = "First."', 'text = "First."\nreveal = 2'), "step 1 reveals no guess before it"),
        (STEPS.replace('title = "One"', 'titel = "One"'), "titel"),
        ('[runs.a]\ntitle = "a"\nrecipe = "quick"\nsettings = { dropout = 7 }\n' + STEPS, "dropout"),
        ('[[steps]]\ntitle = "One"\ntext = "First."\n', "at least 2"),
        ("[[steps", "TOML|Expected"),
    ],
)
def test_a_damaged_file_is_refused_with_its_name(tmp_path, text, reason):
    with pytest.raises(LessonError, match=f"(?s)mine.toml cannot be used.*({reason})"):
        read(write(tmp_path, text))


def test_a_guess_must_fit_what_is_measured():
    for wrong in ({"options": ["a", "b"]}, {"runs": []}, {"runs": ["a"], "bounds": [0.1]}, {"answer": 3}):
        with pytest.raises(ValueError, match=r"options|runs|bounds|answer"):
            Guess(**{**two_runs().model_dump(), **wrong})


def test_a_run_counts_by_its_settings_and_its_owner():
    run = finished_run()
    config = run.config()
    assert find_run(config, "").id == run.id
    assert find_run(config, "Ann") is None
    assert find_run(config.replace(epochs=3), "") is None
    assert find_run(config.replace(seed=7), "").id == run.id  # the same training with other random numbers
    other = config.replace(dropout=0.25)
    assert find_run(other, "") is None
    waiting = create_run(other)  # one that has measured nothing, and is still to begin
    assert find_run(other, "").id == waiting.id


def test_texts_are_filled_with_what_the_run_measured():
    run = finished_run()
    values = measured(run)
    written = [json.loads(line) for line in run.metrics_path.read_text("utf-8").splitlines()]
    epoch = [event for event in written if event["event"] == "epoch"][-1]
    assert values["gap"] == pytest.approx(epoch["train_accuracy"] - epoch["val_accuracy"])
    assert filled("{a.val_accuracy:.1%} of {a.id}", {"a": run}) == f"{epoch['val_accuracy']:.1%} of {run.id}"
    assert filled("{a.id} {b.id}", {"a": run}) is None
    assert filled("{a.val}", {"a": run}) == accuracy_text(epoch["val_accuracy"], written[0]["val_images"])
    guess = Guess(question="?", options=["low", "high"], measure="val_accuracy", runs=["a"], bounds=[0.01])
    assert outcome(guess, {"a": run}) == 1
    assert outcome(guess, {}) is None


def test_ended_runs_of_a_lesson_are_found(monkeypatch):
    lesson = get_lesson("data")
    assert ended_runs(lesson, "") == {}
    run = finished_run()
    monkeypatch.setattr("ui.lessons.progress.FREE", set(type(run.config()).model_fields))  # any run fits
    assert {name: found.id for name, found in ended_runs(lesson, "").items()} == dict.fromkeys(lesson.runs, run.id)


def test_an_unknown_lesson_names_those_that_there_are():
    app = visit("home.py", **{"address-along": {"lesson": "nothing"}})
    assert not app.exception
    assert "There is no lesson 'nothing'; there are: dropout," in words(app)


def test_a_lab_that_only_shows_says_that_it_does_not_train(monkeypatch):
    monkeypatch.setenv("MNIST_LAB_MODE", "read-only")
    app = visit("pages/train.py", **{"address-along": {"lesson": "data", "lesson_step": "3"}})
    assert not app.exception
    assert "does not train for visitors" in words(app)


def test_a_lab_that_shows_draw_alone_has_no_lessons(monkeypatch):
    monkeypatch.setenv("MNIST_LAB_MODE", "draw-only")
    app = visit("pages/draw.py", **{"address-along": {"lesson": "data"}})
    assert not app.exception
    assert "Lessons need pages that this lab does not show" in words(app)
    assert "Step 1" not in words(app)


def test_a_link_hides_settings_one_by_one_or_in_groups():
    app = visit("pages/train.py", **{"address-along": {"hide": "dropout,more,seed"}})
    assert not app.exception
    labels = {
        widget.label for kind in ("slider", "selectbox", "number_input", "select_slider") for widget in app.get(kind)
    }
    assert "Learning rate" in labels
    assert not {"Dropout", "Seed", "Activation"} & labels
