"""load_drawings(path) → pen strokes as the pictures that the drawing page would make of them; JSON, perhaps gzipped."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mnist_core.drawing import render_strokes, to_model_input
from mnist_core.errors import DataError, DrawingError
from mnist_core.holdout import held_out, natural
from mnist_core.parallel import in_threads

MAX_BYTES = 64 * 2**20  # packed or unpacked
BRUSH, HEIGHT = (
    20,
    0.7,
)  # px of a canvas of 280, and the share of it that a digit takes: what the drawing page begins with

Coordinate = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
Side = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1, max_length=60)] | Annotated[int, Field(ge=0, le=10**9)]


class _Digit(BaseModel):
    model_config = ConfigDict(strict=True)

    label: Name
    strokes: Annotated[list[list[tuple[Coordinate, Coordinate]]], Field(max_length=1000)]
    writer: Name | None = None


class _Sheet(BaseModel):
    """The format: digits as pen trajectories inside a box; `y_axis` says where y counts from."""

    model_config = ConfigDict(strict=True)

    box: tuple[Side, Side]
    y_axis: Literal["up", "down"]
    digits: Annotated[list[_Digit], Field(min_length=1, max_length=100_000)]


def load_drawings(
    path: Path, progress: Callable[[float], None] | None = None
) -> tuple[tuple[str, ...], np.ndarray, np.ndarray, np.ndarray]:
    """→ classes, images (N, 1, 28, 28) uint8, labels (N,) int64, and (N,) bool: which of them are test images.

    Where the digits have writers, the last fifth of the writers, in natural order, is the test part: how well a model
    reads people whom it has not seen. Else one fifth is held out. `progress` is called with the share done, in (0, 1].

    Raises DataError when the file is damaged, not in this format, too large, or a digit has no stroke.
    """
    sheet = _read_sheet(path)
    names = [str(digit.label) for digit in sheet.digits]
    classes = tuple(sorted(set(names), key=natural))
    index = {name: number for number, name in enumerate(classes)}
    labels = np.array([index[name] for name in names], dtype=np.int64)
    test = held_out(classes, labels, _last_writers(path, sheet.digits))
    pictures = in_threads(
        lambda number: _rendered(sheet.digits[number], sheet, f"Digit {number} (counted from 0) in {path}"),
        range(len(labels)),
        min(4, os.cpu_count() or 1),
        progress,
    )
    return classes, np.stack(pictures)[:, None], labels, test


def _read_sheet(path: Path) -> _Sheet:
    content = _read_bytes(path)
    try:
        return _Sheet.model_validate_json(content)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in problem["loc"]) or "the file"
        raise DataError(
            f"{path} is not in the format of pen strokes: {where}: {problem['msg']}. It is "
            '{"box": [w, h], "y_axis": "up" or "down", "digits": [{"label": 7, "strokes": [[[x, y], …], …]}, …]}.'
        ) from None


def _read_bytes(path: Path) -> bytes:
    """The JSON, unpacked when it is gzipped, and never more than MAX_BYTES of it."""
    try:
        with open(path, "rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            content = (gzip.GzipFile(fileobj=file) if packed else file).read(MAX_BYTES + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise DataError(f"{path} is a damaged gzip file: pack it again.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}).") from None
    if len(content) > MAX_BYTES:
        raise DataError(f"{path} holds over {MAX_BYTES / 1e6:.0f} MB of JSON, the limit: split it.")
    return content


def _last_writers(path: Path, digits: list[_Digit]) -> np.ndarray | None:
    """(N,) bool: those of the last fifth of the writers; None where writers are not given, or there is only one."""
    writers = {digit.writer for digit in digits}
    if len(writers) == 1:
        return None
    if None in writers:
        raise DataError(f"{path} names the writer of some digits and not of others: name all of them, or none.")
    last = set(sorted(writers, key=natural)[-math.ceil(len(writers) / 5) :])
    return np.array([digit.writer in last for digit in digits])


def _rendered(digit: _Digit, sheet: _Sheet, name: str) -> np.ndarray:
    try:
        canvas = render_strokes(digit.strokes, sheet.box, sheet.y_axis, brush=BRUSH, height=HEIGHT)
    except DrawingError:
        canvas = None
    seen = None if canvas is None else to_model_input(canvas)
    if seen is None:
        raise DataError(f"{name} has no stroke that can be seen: take it out.")
    return seen
