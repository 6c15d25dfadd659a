"""How far somebody is in a lesson: the runs that they made for it, and what these measured."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace

from mnist_core.config import TrainConfig
from mnist_core.errors import LabError
from mnist_core.inference.interval import accuracy_text
from mnist_core.runs.history import shared_reader
from mnist_core.runs.run import Run, list_runs
from ui.lessons.lesson import Guess, Lesson

FREE = {"seed", "threads"}  # settings that may differ from the lesson's
KEPT = ("train_accuracy", "val_accuracy", "train_loss", "val_loss")


def find_runs(configs: Mapping[str, TrainConfig], owner: str) -> dict[str, Run]:
    """For each of the settings, by its name, that owner's newest run that is under way or has ended with measurements.

    The runs are read once for all.
    """
    found: dict[str, Run] = {}
    for run in list_runs():
        if run.owner != owner:
            continue
        try:
            config = run.config()
        except LabError:
            continue  # a damaged one is none of ours
        names = [name for name, wanted in configs.items() if not set(config.differences(wanted)) - FREE]
        if names and (run.status().active or measured(run)):
            found = {**dict.fromkeys(names, run), **found}  # those found before are newer
    return found


def find_run(config: TrainConfig, owner: str) -> Run | None:
    """`find_runs` of one."""
    return find_runs({"": config}, owner).get("")


def measured(run: Run) -> dict[str, float]:
    """What the run's last epoch measured, `gap`: accuracy on training less that on validation, and `val_images`: how
    many it was judged on. {} before one."""
    reader = shared_reader(run)
    start = reader.start()
    for event in reversed(reader.events()):
        if event["event"] == "epoch":
            found = {name: float(event[name]) for name in KEPT}  # type: ignore[literal-required]
            gap, images = found["train_accuracy"] - found["val_accuracy"], start["val_images"] if start else 0
            return {**found, "gap": gap, "val_images": images}
    return {}


def ended_runs(lesson: Lesson, owner: str) -> dict[str, Run]:
    """The lesson's trainings that this owner has made, by their names."""
    found = find_runs({name: training.config for name, training in lesson.runs.items()}, owner)
    return {name: run for name, run in found.items() if not run.status().active}


def outcome(guess: Guess, runs: dict[str, Run]) -> int | None:
    """The place of the right option; None while it is not known."""
    if guess.measure is None:
        return guess.answer
    if not all(name in runs for name in guess.runs):
        return None
    return guess.outcome([measured(runs[name])[guess.measure] for name in guess.runs])


def filled(text: str, runs: dict[str, Run]) -> str | None:
    """The text with the runs' values for `{NAME.val_loss:.2f}`, `{NAME.val}`, `{NAME.id}`; None while one is missing.

    `val` is the accuracy on the validation images with its 95 % interval.
    """
    values = {name: measured(run) for name, run in runs.items()}
    try:
        return text.format(
            **{
                name: SimpleNamespace(id=run.id, val=validation_text(values[name]), **values[name])
                for name, run in runs.items()
                if values[name]
            }
        )
    except KeyError:
        return None


def validation_text(values: Mapping[str, float]) -> str:
    """The accuracy on the validation images with its 95 % interval, of what `measured` gives."""
    return accuracy_text(values["val_accuracy"], int(values["val_images"]))
