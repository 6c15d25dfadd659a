"""A run's metrics.jsonl, one event a line: written where a disk may refuse, read as it grows, as events and curves."""

from __future__ import annotations

import contextlib
import functools
import json
import math
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mnist_core.runs.columns import COLUMNS, ColumnWriter, MismatchError, covered, read_columns, rebuild
from mnist_core.runs.lines import parse_event, parse_line, read_lines
from mnist_core.runs.run import Run
from mnist_core.training.changes import change_label
from mnist_core.training.events import ChangeEvent, EndEvent, Event, ResumeEvent, StartEvent, StepEvent

# a link in place of the file would lead the writing out of the run
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_MUCH = 4_000_000  # bytes of a log that take a quarter of a second to parse: worth columns
_PART = 2**16  # steps


# ---- writing --------------------------------------------------------------------------------------------------------


class EventLog:
    """Appends events. What the disk refuses is kept in memory, and the next `flush` goes on where it broke off.

    `resumed` tells whether there were events before. Raises OSError.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, _FLAGS, 0o666)
        self._size = os.fstat(self._file).st_size
        self.resumed = self._size > 0
        self._added: list[bytes] = []  # lines whose numbers are not in the columns yet
        # ends a line that a kill may have torn; an empty one is skipped
        self._pending = b"\n" if self.resumed else b""
        self._columns: ColumnWriter | None = None

    def __enter__(self) -> EventLog:
        return self

    def __exit__(self, *_: object) -> None:
        if self._columns is not None:
            self._columns.close()
        os.close(self._file)

    def add(self, event: Event) -> None:
        """Takes an event in; `flush` writes it."""
        line = json.dumps(event).encode() + b"\n"
        self._pending += line
        self._added.append(line)

    def flush(self) -> None:
        """Writes what is not written yet. Raises OSError, with all of the rest kept."""
        while self._pending:
            self._pending = self._pending[os.write(self._file, self._pending) :]
        if self._columns is None and self._added:  # takes in all that the log holds, what an earlier process left too
            self._columns = ColumnWriter(self._path)
            self._size = os.fstat(self._file).st_size
        elif self._columns is not None:
            for line in self._added:
                self._size += len(line)
                self._columns.add(self._size, line)
        self._added.clear()

    def sync(self) -> None:
        """Waits until all of it would outlive a loss of power. Raises OSError."""
        self.flush()
        os.fsync(self._file)
        if self._columns is not None:
            self._columns.flush()


def end_event(reason: str, step: int, train_seconds: float, metrics: Mapping[str, float] | None = None) -> EndEvent:
    """The event with which a training ends; `metrics` are those of the checkpoint that is its result."""
    event: EndEvent = {"event": "end", "reason": reason, "step": step, "train_seconds": train_seconds}
    for name in ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "test_loss", "test_accuracy"):
        if metrics and name in metrics:
            event[name] = metrics[name]
    for count in ("val_images", "test_images"):
        if metrics and count in metrics:
            event[count] = int(metrics[count])
    return event


# ---- reading: events ------------------------------------------------------------------------------------------------


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
        with contextlib.suppress(OSError):
            for end, line in read_lines(self.run.metrics_path, self._offset):
                self._offset = end
                self._take_line(line)
        return self.events

    def _take_line(self, line: bytes) -> None:
        if (event := parse_event(line)) is not None:
            self._take(event)

    def _take(self, event: Event) -> None:
        if event["event"] == "resume":
            self._drop_after(event)
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
    with contextlib.suppress(OSError), metrics.open("rb") as lines:
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
                newest = self._reader.newest_step
                rate = newest["images_per_second"] if newest is not None else None
                self._history = self._reader.taken, _history(events, self._reader.steps.T, rate)
            return self._history[1]


def shared_reader(run: Run) -> HistoryReader:
    """What the run measures, read once for all in this process who look at it."""
    return _reader(run.folder.resolve())


@functools.lru_cache(64)
def _reader(folder: Path) -> HistoryReader:
    return HistoryReader(Run(folder))


class _CompactReader(EventReader):
    """An EventReader that keeps three numbers of each step, and the newest step whole.

    What it finds the first time it takes from the columns beside the log, as far as these go. A long log without them
    gets them, once its run has ended.
    """

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._columns = run.folder / COLUMNS
        self._begun = False
        self._clear()

    def _clear(self) -> None:
        self.events.clear()
        self._offset = 0
        self._rows, self._count = np.empty((1024, 3)), 0
        self._newest = b""
        self.taken = 0  # events so far, those dropped again included: tells one moment from another

    @property
    def steps(self) -> np.ndarray:
        """(N, 3) float64: step, loss and accuracy. What is in it never changes."""
        return self._rows[: self._count]

    @property
    def newest_step(self) -> StepEvent | None:
        event = parse_event(self._newest)
        return event if event is not None and event["event"] == "step" else None

    def read(self) -> list[Event]:
        if not self._begun:
            self._begun = True
            try:
                self._read_columns()
            except (OSError, MismatchError):
                self._clear()
        return super().read()

    def _read_columns(self) -> None:
        log = self.run.metrics_path
        rows, end = covered(log, self._columns)
        if log.stat().st_size - end > _MUCH and not self.run.status().active:
            rebuild(log, self._columns)
            rows, end = covered(log, self._columns)
        if not rows:
            return
        self._reserve(rows)
        for found in read_columns(log, self._columns, rows):
            if isinstance(found, np.ndarray):
                self._extend(found)
            elif (event := parse_event(found)) is not None and event["event"] != "step":
                self._take(event)
            else:
                self._newest = found
        self._offset = end

    def _take_line(self, line: bytes) -> None:
        found = parse_line(line)
        if isinstance(found, tuple):
            self._reserve(self._count + 1)
            self._rows[self._count] = found
            self._count, self.taken = self._count + 1, self.taken + 1
            self._newest = line
        elif found is not None:
            self._take(found)

    def _take(self, event: Event) -> None:
        self.taken += 1
        super()._take(event)

    def _extend(self, rows: np.ndarray) -> None:
        self.taken += len(rows)
        self._reserve(self._count + len(rows))
        self._rows[self._count : self._count + len(rows)] = rows
        self._count += len(rows)

    def _reserve(self, count: int) -> None:
        if count > len(self._rows):
            rows = np.empty((count + count // 8 + 1024, 3))
            rows[: self._count] = self.steps
            self._rows = rows

    def _drop_after(self, resumption: ResumeEvent) -> None:
        super()._drop_after(resumption)
        # a copy: who has looked already keeps what was there
        kept = self.steps[self.steps[:, 0] <= resumption["step"]]
        self._rows, self._count = kept, len(kept)
        if (newest := self.newest_step) is not None and not precedes(newest, resumption):
            self._newest = b""


def _history(events: list[Event], steps: np.ndarray, rate: float | None) -> History:
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
    seconds = np.empty(len(wanted))
    for first in range(0, len(wanted), _PART):  # in parts, as each operation takes memory for its result
        part = wanted[first : first + _PART]
        late = np.maximum(part - places[-1], 0.0) * per_step
        seconds[first : first + _PART] = np.interp(part, places, times) + late
    return seconds
