"""The lines of a metrics.jsonl: whole ones, in bounded memory, and the event in each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from mnist_core.training.changes import CHANGEABLE
from mnist_core.training.events import Event

_EVENT: TypeAdapter[Event] = TypeAdapter(
    Annotated[Event, Field(discriminator="event")], config=ConfigDict(strict=True, allow_inf_nan=False)
)
_LARGEST = 1e15  # of any number in an event but `asked`, which counts nanoseconds
_BLOCK = 2**20  # bytes read at a time
_WHOLE = rb"((?:0|[1-9]\d{0,14}))"
_NUMBER = rb"(-?(?:0|[1-9]\d{0,14})(?:\.\d{1,30})?(?:e-?\d{1,2})?)"
_STEP = re.compile(  # what EventLog writes, character by character: twenty times faster than a parser of JSON
    rb'\{"event": "step", "step": %b, "epoch": %b, "loss": %b, "accuracy": %b, "lr": %b, "images_per_second": %b\}\n'
    % (_WHOLE, _WHOLE, _NUMBER, _NUMBER, _NUMBER, _NUMBER)
)


def parse_event(line: bytes) -> Event | None:
    """A line of metrics.jsonl → the event, whole and with finite numbers; None for anything else a file may hold."""
    if found := _STEP.fullmatch(line):
        step, epoch, *texts = found.groups()
        loss, accuracy, lr, rate = map(float, texts)
        if not _is_plausible(loss, accuracy, lr, rate):
            return None
        return {
            "event": "step",
            "step": int(step),
            "epoch": int(epoch),
            "loss": loss,
            "accuracy": accuracy,
            "lr": lr,
            "images_per_second": rate,
        }
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


def parse_line(line: bytes) -> Event | tuple[float, float, float] | None:
    """As `parse_event`, but of a `step` only its number, loss and accuracy."""
    if found := _STEP.fullmatch(line):
        step, _, *texts = found.groups()
        loss, accuracy, lr, rate = map(float, texts)
        return (float(step), loss, accuracy) if _is_plausible(loss, accuracy, lr, rate) else None
    event = parse_event(line)
    if event is not None and event["event"] == "step":
        return float(event["step"]), event["loss"], event["accuracy"]
    return event


def _is_plausible(loss: float, accuracy: float, lr: float, rate: float) -> bool:
    return max(abs(loss), abs(accuracy), abs(lr), rate) <= _LARGEST and rate > 0


def read_lines(path: Path, offset: int = 0) -> Iterator[tuple[int, bytes]]:
    """The whole lines behind `offset`, each with the offset of its end. Raises OSError."""
    with path.open("rb") as file:
        file.seek(offset)
        parts: list[bytes] = []
        while block := file.read(_BLOCK):
            cut = block.rfind(b"\n") + 1
            if not cut:
                parts.append(block)
                continue
            whole = b"".join([*parts, block[:cut]])
            parts = [block[cut:]]
            for line in whole.splitlines(keepends=True):
                offset += len(line)
                yield offset, line
