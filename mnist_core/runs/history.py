"""A run's metrics.jsonl, one event a line: written where a disk may refuse, read as it grows, as events and curves."""

from __future__ import annotations

import json
import math
import os
import threading
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from mnist_core.runs.run import Run
from mnist_core.training.changes import CHANGEABLE, change_label
from mnist_core.training.events import ChangeEvent, EndEvent, Event, ResumeEvent, StartEvent, StepEvent

# a link in place of the file would lead the writing out of the run
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_EVENT: TypeAdapter[Event] = TypeAdapter(
    Annotated[Event, Field(discriminator="event")], config=ConfigDict(strict=True, allow_inf_nan=False)
)
_LARGEST = 1e15  # of any number in an event but `asked`, which counts nanoseconds
_COLUMNS = ("step", "loss", "accuracy")  # of the steps, of which there are many


# ---- writing --------------------------------------------------------------------------------------------------------


class EventLog:
    """Appends events. What the disk refuses is kept in memory, and the next `flush` goes on where it broke off.

    `resumed` tells whether there were events before. Raises OSError.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, _FLAGS, 0o666)
        self.resumed = os.fstat(self._file).st_size > 0
        # ends a line that a kill may have torn; an empty one is skipped
        self._pending = b"\n" if self.resumed else b""

    def __enter__(self) -> EventLog:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def add(self, event: Event) -> None:
        """Takes an event in; `flush` writes it."""
        self._pending += json.dumps(event).encode() + b"\n"

    def flush(self) -> None:
        """Writes what is not written yet. Raises OSError, with all of the rest kept."""
        while self._pending:
            self._pending = self._pending[os.write(self._file, self._pending) :]

    def sync(self) -> None:
        """Waits until all of it would outlive a loss of power. Raises OSError."""
        self.flush()
        os.fsync(self._file)


def end_event(reason: str, step: int, train_seconds: float, metrics: Mapping[str, float] | None = None) -> EndEvent:
    """The event with which a training ends; `metrics` are those of the checkpoint that is its result."""
    event: EndEvent = {"event": "end", "reason": reason, "step": step, "train_seconds": train_seconds}
    for name in ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "test_loss", "test_accuracy"):
        if metrics and name in metrics:
            event[name] = metrics[name]
    return event


# ---- reading: events ------------------------------------------------------------------------------------------------


def parse_event(line: bytes) -> Event | None:
    """A line of metrics.jsonl → the event, whole and with finite numbers; None for anything else a file may hold."""
    try:
        event = _EVENT.validate_json(line)
    except ValidationError:
        return None
    numbers = [value for name, value in event.items() if isinstance(value, int | float) and name != "asked"]
    if any(abs(number) > _LARGEST for number in numbers):
        return None
    if event["event"] == "start" and min(event["steps_per_epoch"], event["total_steps"], event["train_images"]) < 1:
        return None  # they are divided by
    if event["event"] == "step" and event["images_per_second"] <= 0:
        return None
    if event["event"] == "change" and event["field"] not in CHANGEABLE:
        return None
    return event


class EventReader:
    """Follows a run's metrics.jsonl: each call of `read` parses only what was added since."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.events: list[Event] = []
        self._offset = 0

    def read(self) -> list[Event]:
        """All events so far. A torn last line is left for the next call; a damaged one is skipped.

        After a resume the events behind the point of resumption are dropped: they happened again.
        """
        try:
            with self.run.metrics_path.open("rb") as file:
                file.seek(self._offset)
                added = file.read()
        except OSError:
            return self.events
        complete = added[: added.rfind(b"\n") + 1]
        self._offset += len(complete)
        for line in complete.splitlines():
            if (event := parse_event(line)) is None:
                continue
            if event["event"] == "resume":
                self._drop_after(event)
            self._take(event)
        return self.events

    def _take(self, event: Event) -> None:
        self.events.append(event)

    def _drop_after(self, resumption: ResumeEvent) -> None:
        self.events[:] = [earlier for earlier in self.events if precedes(earlier, resumption)]


def precedes(event: Event, resumption: ResumeEvent) -> bool:
    """Whether `event` happened before the state that `resumption` went on from was saved; else it happened again."""
    if event["event"] == "end" or event["step"] > resumption["step"]:
        return False
    if event["event"] == "epoch":  # it has the step of its last batch, after which the state may have been saved
        return event["epoch"] <= resumption.get("epoch", math.inf)
    return event["event"] != "validation" or event["step"] <= resumption.get("checked", math.inf)


def recorded_changes(metrics: Path) -> dict[tuple[int, str], ChangeEvent]:
    """(number, setting) → the change event in a metrics.jsonl, those after a point of resumption included."""
    found: dict[tuple[int, str], ChangeEvent] = {}
    try:
        lines = metrics.read_bytes().splitlines()
    except OSError:
        return found
    for line in lines:
        if b'"change"' in line and (event := parse_event(line)) is not None and event["event"] == "change":
            found.setdefault((event["asked"], event["field"]), event)
    return found


def changes(events: Iterable[Event]) -> dict[int, list[ChangeEvent]]:
    """Step → the changes of settings made after it, in order."""
    found: dict[int, list[ChangeEvent]] = {}
    for event in events:
        if event["event"] == "change":
            found.setdefault(event["step"], []).append(event)
    return found


def latest(events: Iterable[Event], kind: str, name: str) -> Any:
    """The value of `name` in the last event of `kind` that has it; None where there is none."""
    found: Iterable[Mapping[str, Any]] = reversed(list(events))
    return next((event[name] for event in found if event["event"] == kind and name in event), None)


# ---- reading: curves ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Series:
    """Measurements in order, (N,) float64 each: when (batches, epochs and seconds trained) and what (nats, [0, 1])."""

    step: np.ndarray
    epoch: np.ndarray
    seconds: np.ndarray
    loss: np.ndarray
    accuracy: np.ndarray


@dataclass(frozen=True)
class Change:
    """Settings that were changed while a run trained: when, as in Series, and which."""

    step: float
    epoch: float
    seconds: float
    label: str


@dataclass(frozen=True)
class History:
    """What a run has measured: each training batch, each validation, and where settings were changed."""

    train: Series
    validation: Series
    changes: list[Change] = field(default_factory=list)


class HistoryReader:
    """Follows a run for all who watch it, in any thread. A look costs what has happened since the last one."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._reader = _CompactReader(run)
        self._lock = threading.Lock()
        self._history: tuple[int, History] | None = None

    def events(self) -> list[Event]:
        """All events so far but the steps, as EventReader gives them."""
        with self._lock:
            return list(self._reader.read())

    def start(self) -> StartEvent | None:
        """The last `start` event."""
        return next((event for event in reversed(self.events()) if event["event"] == "start"), None)

    def newest_step(self) -> StepEvent | None:
        """The last `step` event."""
        with self._lock:
            self._reader.read()
            return self._reader.newest_step

    def history(self) -> History:
        """What was measured so far; empty where nothing was yet. The same object until there is more."""
        with self._lock:
            events = self._reader.read()
            if self._history is None or self._history[0] != self._reader.taken:
                steps = [np.array(values) for values in self._reader.columns]
                rate = self._reader.newest_step["images_per_second"] if self._reader.newest_step else None
                self._history = self._reader.taken, _history(events, steps, rate)
            return self._history[1]


class _CompactReader(EventReader):
    """An EventReader that keeps three numbers of each step, and the newest step whole."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self.columns = [array("d") for _ in _COLUMNS]
        self.newest_step: StepEvent | None = None
        self.taken = 0  # events so far, those dropped again included: tells one moment from another

    def _take(self, event: Event) -> None:
        self.taken += 1
        if event["event"] != "step":
            super()._take(event)
            return
        self.newest_step = event
        for values, value in zip(self.columns, (event["step"], event["loss"], event["accuracy"]), strict=True):
            values.append(value)

    def _drop_after(self, resumption: ResumeEvent) -> None:
        super()._drop_after(resumption)
        kept = np.array(self.columns[0]) <= resumption["step"]
        self.columns = [array("d", np.array(values)[kept]) for values in self.columns]
        if self.newest_step is not None and not precedes(self.newest_step, resumption):
            self.newest_step = None


def _history(events: list[Event], steps: Sequence[np.ndarray], rate: float | None) -> History:
    per_epoch = latest(events, "start", "steps_per_epoch") or 1
    checks = [
        (event["step"], event["val_loss"], event["val_accuracy"])
        for event in events
        if event["event"] in ("validation", "epoch")
    ]
    validation = np.array(checks, dtype=float).reshape(len(checks), 3).T
    made = changes(events)

    def series(step: np.ndarray, loss: np.ndarray, accuracy: np.ndarray) -> Series:
        return Series(step, step / per_epoch, seconds_at(events, step, rate), loss, accuracy)

    times = seconds_at(events, list(made), rate)
    marks = [
        Change(step, step / per_epoch, float(seconds), change_label(together))
        for (step, together), seconds in zip(made.items(), times, strict=True)
    ]
    return History(series(*steps), series(*validation), marks)


def seconds_at(events: Iterable[Event], steps: Sequence[float] | np.ndarray, rate: float | None = None) -> np.ndarray:
    """(N,) steps → (N,) float64, the seconds trained until each. Pauses do not count; validations do.

    Exact at the end of each epoch, whose event says how long it took, and at the end of the run. Between two of these,
    time is shared evenly over the steps; after the last one it goes on at `rate` images per second.
    """
    events = list(events)
    places, times = [0.0], [0.0]
    spent = 0.0
    for event in events:
        if event["event"] == "epoch":
            spent += event["seconds"]
            place, time = event["step"], spent
        elif event["event"] == "end" and "step" in event and "train_seconds" in event:
            place, time = event["step"], event["train_seconds"]
        else:
            continue
        if place > places[-1] and time >= times[-1]:
            places.append(float(place))
            times.append(float(time))
    wanted = np.asarray(steps, dtype=float)
    images, per_epoch = (latest(events, "start", name) for name in ("train_images", "steps_per_epoch"))
    per_step = images / per_epoch / rate if rate and images else 0.0
    seconds: np.ndarray = np.interp(wanted, places, times) + np.maximum(wanted - places[-1], 0.0) * per_step
    return seconds
