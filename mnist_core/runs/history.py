"""A run's metrics.jsonl: written where a disk may refuse, read line by line as it grows, as events and as curves."""

from __future__ import annotations

import json
import math
import os
import threading
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mnist_core.runs.run import Run
from mnist_core.training.changes import change_label, is_change
from mnist_core.training.state import Event

MEASURED = ("step", "loss", "accuracy")


@dataclass
class EventReader:
    """Follows a run's metrics.jsonl: each call of `read` parses only what was added since."""

    run: Run
    events: list[Event] = field(default_factory=list)
    _offset: int = 0

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
            try:
                event = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if not is_event(event):
                continue
            if event["event"] == "resume":
                self._go_back(event)
            self._take(event)
        return self.events

    def _take(self, event: Event) -> None:
        self.events.append(event)

    def _go_back(self, resumption: Event) -> None:
        self.events[:] = [earlier for earlier in self.events if precedes(earlier, resumption)]


def column(events: Iterable[Event], kind: str, *names: str) -> list[list[Any]]:
    """The values of `names` over all events of `kind` that have them all: one list per name."""
    rows = [event for event in events if event["event"] == kind and event.keys() >= set(names)]
    return [[event[name] for event in rows] for name in names]


def newest(events: Iterable[Event], kind: str, *names: str) -> Event | None:
    """The last event of `kind` that has all of `names`."""
    return next((e for e in reversed(list(events)) if e["event"] == kind and e.keys() >= set(names)), None)


def changes(events: Iterable[Event]) -> dict[int, list[Event]]:
    """Step → the changes of settings made after it, in order."""
    found: dict[int, list[Event]] = {}
    for event in filter(is_change, events):
        found.setdefault(event["step"], []).append(event)
    return found


@dataclass(frozen=True)
class Curves:
    """A run's measurements over its course, x in epochs (fractional within one). Losses in nats, accuracies in [0, 1].

    `loss` and `accuracy` are of each training batch; `val_loss` and `val_accuracy` of the held-out images at `val_x`:
    (N,) float64 each. `marks` says where settings were changed, and which.
    """

    x: np.ndarray
    loss: np.ndarray
    accuracy: np.ndarray
    val_x: np.ndarray
    val_loss: np.ndarray
    val_accuracy: np.ndarray
    marks: list[tuple[float, str]] = field(default_factory=list)


class RunFollower:
    """Follows a run for all who watch it, in any thread. A look costs what has happened since the last one, and the
    batches, of which there are many, take three numbers each."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._reader = _Columns(run)
        self._lock = threading.Lock()
        self._drawn: tuple[int, Curves] | None = None

    def events(self) -> list[Event]:
        """All events so far but the steps, as EventReader gives them."""
        with self._lock:
            return list(self._reader.read())

    def newest_step(self) -> Event | None:
        """The last step that says how fast it goes."""
        with self._lock:
            self._reader.read()
            return self._reader.newest_step

    def curves(self) -> Curves:
        """What was measured so far; empty where nothing was yet."""
        with self._lock:
            events = self._reader.read()
            if self._drawn is None or self._drawn[0] != self._reader.taken:
                self._drawn = self._reader.taken, self._curves(events)
            return self._drawn[1]

    def _curves(self, events: list[Event]) -> Curves:
        per_epoch = max((event.get("steps_per_epoch", 1) for event in events if event["event"] == "start"), default=1)
        steps, loss, accuracy = (np.array(values) for values in self._reader.measured)
        checks = [{**event, "event": "check"} for event in events if event["event"] in ("validation", "epoch")]
        validation = column(checks, "check", "step", "val_loss", "val_accuracy")
        val_steps, val_loss, val_accuracy = (np.array(values, dtype=float) for values in validation)
        marks = [(step / per_epoch, change_label(made)) for step, made in changes(events).items()]
        return Curves(steps / per_epoch, loss, accuracy, val_steps / per_epoch, val_loss, val_accuracy, marks)


class _Columns(EventReader):
    """An EventReader that keeps of the steps what is drawn, and the newest one whole."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self.measured = [array("d") for _ in MEASURED]
        self.newest_step: Event | None = None
        self.taken = 0  # events so far, those dropped again included: tells one moment from another

    def _take(self, event: Event) -> None:
        self.taken += 1
        if event["event"] != "step":
            super()._take(event)
            return
        if event.keys() >= set(MEASURED):
            for values, name in zip(self.measured, MEASURED, strict=True):
                values.append(event[name])
        if event.keys() >= {"step", "images_per_second"}:
            self.newest_step = event

    def _go_back(self, resumption: Event) -> None:
        super()._go_back(resumption)
        kept = [precedes({"event": "step", "step": step}, resumption) for step in self.measured[0]]
        self.measured = [
            array("d", (value for value, keep in zip(values, kept, strict=True) if keep)) for values in self.measured
        ]
        if self.newest_step is not None and not precedes(self.newest_step, resumption):
            self.newest_step = None


# a link in place of the file would lead the writing out of the run
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
# what is computed with, wherever it stands in an event; and what is divided by
MEASURES = ("step", "epoch", "loss", "accuracy", "lr", "seconds", "train_seconds", "parameters", "checked")
MEASURES += tuple(f"{part}_{name}" for part in ("train", "val", "test") for name in ("loss", "accuracy", "images"))
DIVISORS = ("steps_per_epoch", "total_steps", "images_per_second")


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

    def add(self, event: dict[str, Any]) -> None:
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


def is_event(value: Any) -> bool:
    """Whether it has a kind, finite numbers where numbers belong, and text that can be written."""
    if not isinstance(value, dict) or not isinstance(value.get("event"), str):
        return False
    try:
        "".join(text for pair in value.items() for text in pair if isinstance(text, str)).encode()
    except UnicodeEncodeError:  # JSON can name halves of characters
        return False
    numbers = [value[name] for name in MEASURES + DIVISORS if name in value]
    finite = all(type(number) in (int, float) and abs(number) < 1e15 for number in numbers)
    return finite and all(value.get(name, 1) > 0 for name in DIVISORS)


def precedes(event: dict[str, Any], resumption: dict[str, Any]) -> bool:
    """Whether `event` happened before the state that `resumption` went on from was saved; else it happened again."""
    if event["event"] == "end" or event.get("step", 0) > resumption.get("step", 0):
        return False
    if event["event"] == "epoch":  # it has the step of its last batch, after which the state may have been saved
        return event.get("epoch", 0) <= resumption.get("epoch", math.inf)
    return event["event"] != "validation" or event.get("step", 0) <= resumption.get("checked", math.inf)
