"""A run's metrics.jsonl, one event a line: how it is written where a disk may refuse, and what counts as an event."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

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


def happened_before(event: dict[str, Any], resumption: dict[str, Any]) -> bool:
    """Whether `event` happened before the state that `resumption` went on from was saved; else it happened again."""
    if event["event"] == "end" or event.get("step", 0) > resumption.get("step", 0):
        return False
    if event["event"] == "epoch":  # it has the step of its last batch, after which the state may have been saved
        return event.get("epoch", 0) <= resumption.get("epoch", math.inf)
    return event["event"] != "validation" or event.get("step", 0) <= resumption.get("checked", math.inf)
