"""Runs side by side: their curves over a common axis, the settings they differ in, and what came of each."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from mnist_core.config import TrainConfig
from mnist_core.models.checkpoint import read_card
from mnist_core.runs.history import EventReader, changes
from mnist_core.runs.run import Run
from mnist_core.training.changes import change_label
from mnist_core.training.state import Event

AXES = ("step", "epoch", "seconds")


@dataclass(frozen=True)
class Series:
    """One row of measurements: where (batches done, epochs done, seconds trained) and what (nats, share in [0, 1])."""

    step: list[float]
    epoch: list[float]
    seconds: list[float]
    loss: list[float]
    accuracy: list[float]


@dataclass(frozen=True)
class Changed:
    """Settings changed while a run trained: where, as in Series, and which."""

    step: float
    epoch: float
    seconds: float
    label: str


@dataclass(frozen=True)
class Record:
    """What one run was and measured. `figures` holds its numbers for a table, None where there is none (yet)."""

    run_id: str
    state: str
    config: TrainConfig
    train: Series
    validation: Series
    figures: dict[str, float | None]
    changes: list[Changed] = field(default_factory=list)
    owner: str = ""


def record(run: Run, events: list[Event] | None = None) -> Record:
    """Reads a run, or takes its `events` as read; damaged events are left out. Raises RunError without a config."""
    config = run.config()
    events = EventReader(run).read() if events is None else events
    train = _series(events, ("step",), "loss", "accuracy")
    validation = _series(events, ("validation", "epoch"), "val_loss", "val_accuracy")
    figures = {
        "best_val_accuracy": max(validation.accuracy, default=None),
        "best_val_loss": min(validation.loss, default=None),
        "last_val_accuracy": next(reversed(validation.accuracy), None),
        "last_val_loss": next(reversed(validation.loss), None),
        "test_accuracy": _last(events, "end", "test_accuracy"),
        "parameters": _last(events, "start", "parameters"),
        "train_seconds": max(train.seconds + validation.seconds, default=None),
    }
    return Record(run.id, run.status().state, config, train, validation, figures, _changed(events), run.owner)


def _changed(events: list[Event]) -> list[Changed]:
    made = changes(events)
    per_epoch = _last(events, "start", "steps_per_epoch") or 1
    return [
        Changed(step, step / per_epoch, float(seconds), change_label(together))
        for (step, together), seconds in zip(made.items(), seconds_at(events, list(made)), strict=True)
    ]


def seconds_at(events: Iterable[Event], steps: Sequence[float]) -> np.ndarray:
    """(N,) steps → (N,) float64, the seconds trained until each. Pauses do not count; validations do.

    Exact at the end of each epoch, whose event says how long it took, and at the end of the run. Between two of these,
    time is shared evenly over the steps; after the last one it goes on at the images per second of the last step.
    """
    events = list(events)
    places, times = [0.0], [0.0]
    spent = 0.0
    for event in events:
        if event["event"] == "epoch" and has_numbers(event, "step", "seconds"):
            spent += event["seconds"]
            place, time = event["step"], spent
        elif event["event"] == "end" and has_numbers(event, "step", "train_seconds"):
            place, time = event["step"], event["train_seconds"]
        else:
            continue
        if place > places[-1] and time >= times[-1]:
            places.append(float(place))
            times.append(float(time))
    wanted = np.asarray(steps, dtype=float)
    rate, images = _last(events, "step", "images_per_second"), _last(events, "start", "train_images")
    per_epoch = _last(events, "start", "steps_per_epoch")
    per_step = images / per_epoch / rate if rate and images and per_epoch else 0.0
    return np.interp(wanted, places, times) + np.maximum(wanted - places[-1], 0.0) * per_step


def seconds_left(runs: Iterable[Run]) -> float | None:
    """Training seconds to come, if the epochs to come take as long as those done; None before the first is done.

    Counted in whole epochs, from the checkpoints. Raises RunError or CheckpointError.
    """
    spent = done = to_come = 0.0
    for run in runs:
        folder = run.checkpoint()
        card = read_card(folder) if folder is not None else None
        if card is not None:
            spent, done = spent + card.train_seconds, done + card.epoch
        if run.status().active:
            to_come += run.config().epochs - (card.epoch if card is not None else 0)
    return spent / done * to_come if done else None


def differing(records: Sequence[Record]) -> list[str]:
    """The settings in which the runs are not all alike, in TrainConfig's order."""
    configs = [record.config.model_dump() for record in records]
    return [name for name in TrainConfig.model_fields if any(c[name] != configs[0][name] for c in configs[1:])]


def table(records: Sequence[Record]) -> list[dict[str, Any]]:
    """A row per run: its name and state, the settings that differ, and its figures."""
    fields = differing(records)
    return [
        {
            "run": r.run_id,
            "owner": r.owner,
            "state": r.state,
            **{name: getattr(r.config, name) for name in fields},
            **r.figures,
        }
        for r in records
    ]


def curve_rows(records: Sequence[Record]) -> list[dict[str, Any]]:
    """A row per measurement: the run, train or validation, where it was taken and what it says."""
    return [
        {"run": r.run_id, "kind": kind, **dict(zip(asdict(series), values, strict=True))}
        for r in records
        for kind, series in (("train", r.train), ("validation", r.validation))
        for values in zip(*asdict(series).values(), strict=True)
    ]


def to_csv(rows: Sequence[dict[str, Any]]) -> str:
    """Rows → CSV with a header of all their keys, in order of appearance; a missing value is an empty cell."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def to_json(records: Sequence[Record]) -> str:
    """Everything as JSON: what differs, and of each run its whole configuration, figures and curves."""
    runs = [{**asdict(r), "config": r.config.model_dump(mode="json")} for r in records]
    return json.dumps({"differing": differing(records), "runs": runs}, indent=2, allow_nan=False)


def _series(events: list[Event], kinds: tuple[str, ...], loss: str, accuracy: str) -> Series:
    per_epoch = _last(events, "start", "steps_per_epoch") or 1
    rows = [event for event in events if event["event"] in kinds and has_numbers(event, "step", loss, accuracy)]
    steps = [event["step"] for event in rows]
    return Series(
        steps,
        [step / per_epoch for step in steps],
        seconds_at(events, steps).tolist(),
        [event[loss] for event in rows],
        [event[accuracy] for event in rows],
    )


def _last(events: Iterable[Event], kind: str, name: str) -> float | None:
    return next((e[name] for e in reversed(list(events)) if e["event"] == kind and has_numbers(e, name)), None)


def has_numbers(event: Event, *names: str) -> bool:
    """Whether the event has a finite number under each of `names`: a file on disk may hold anything."""
    values = [event.get(name) for name in names]
    return all(isinstance(value, int | float) and math.isfinite(value) for value in values)
