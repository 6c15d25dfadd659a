"""load_drawings(path) → pen strokes as the pictures that the drawing page would make of them; JSON, perhaps gzipped."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mnist_core.data.splits import held_out, natural_sort_key
from mnist_core.drawing.preprocess import to_model_input
from mnist_core.drawing.strokes import Strokes, jitter_strokes, render_strokes
from mnist_core.errors import DataError, DrawingError
from mnist_core.system.progress import Progress
from mnist_core.system.threads import map_in_threads

MAX_BYTES = 64 * 2**20  # packed or unpacked
# px of a canvas of 280, and the share of it that a digit takes
BRUSH, HEIGHT = 20, 0.7  # what the drawing page begins with
BRUSHES, HEIGHTS = (8, 36), (0.3, 0.95)  # what people choose there
Drawing = tuple[Strokes, float, float]  # strokes, brush, height


class Cell(NamedTuple):
    """One way to draw: the pen's diameter in px, and the share of the canvas that the digit's longest side takes."""

    brush: int
    height: float


# every usual pen at every usual size; the thickest fills the holes of a small digit, which nobody can read then
GRID = tuple(
    Cell(brush, height) for brush in (12, 20, 28) for height in (0.35, 0.7, 0.9) if brush < 28 or height >= 0.7
)
Coordinate = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
Side = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1, max_length=60)] | Annotated[int, Field(ge=0, le=10**9)]


class _Digit(BaseModel):
    model_config = ConfigDict(strict=True)

    label: Name
    strokes: Annotated[list[list[tuple[Coordinate, Coordinate]]], Field(max_length=1000)]
    writer: Name | None = None


class Sheet(BaseModel):
    """The format: digits as pen trajectories inside a box; `y_axis` says where y counts from."""

    model_config = ConfigDict(strict=True)

    box: tuple[Side, Side]
    y_axis: Literal["up", "down"]
    digits: Annotated[list[_Digit], Field(min_length=1, max_length=100_000)]

    def classes(self) -> tuple[str, ...]:
        return tuple(sorted({str(digit.label) for digit in self.digits}, key=natural_sort_key))

    def labels(self) -> np.ndarray:
        """(N,) int64 indices into `classes`."""
        index = {name: number for number, name in enumerate(self.classes())}
        return np.array([index[str(digit.label)] for digit in self.digits], dtype=np.int64)


def load_drawings(
    path: Path, progress: Progress | None = None
) -> tuple[tuple[str, ...], np.ndarray, np.ndarray, np.ndarray]:
    """→ classes, images (N, 1, 28, 28) uint8, labels (N,) int64, and (N,) bool: which of them are test images.

    Where the digits have writers, the last fifth of the writers, in natural order, is the test part: how well a model
    reads people whom it has not seen. Else one fifth is held out. `progress` is called with the share done, in (0, 1].

    Raises DataError when the file is damaged, not in this format, too large, or a digit has no stroke.
    """
    sheet = read_sheet(path)
    classes, labels = sheet.classes(), sheet.labels()
    test = held_out(classes, labels, _last_writers(path, sheet.digits))
    images = _drawn(sheet, path, lambda n: (sheet.digits[n].strokes, BRUSH, HEIGHT), range(len(labels)), progress)
    return classes, images, labels, test


def load_copies(
    path: Path, copies: int, seed: int, progress: Progress | None = None
) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """→ classes, images (N × copies, 1, 28, 28) uint8, labels (N × copies,) int64: all digits, drawn again and again.

    Each copy with another pen, at another size, by a slightly other hand (see `jitter_strokes`).
    The same seed draws the same. Raises DataError as `load_drawings` does.
    """
    sheet = read_sheet(path)

    def copy(number: int) -> Drawing:
        rng = np.random.default_rng((seed, number))
        strokes = jitter_strokes(sheet.digits[number // copies].strokes, rng)
        return strokes, rng.uniform(*BRUSHES), rng.uniform(*HEIGHTS)

    images = _drawn(sheet, path, copy, range(len(sheet.digits) * copies), progress, copies)
    return sheet.classes(), images, sheet.labels().repeat(copies)


def load_grid(
    path: Path, writers: Collection[str] | None = None, progress: Progress | None = None
) -> tuple[tuple[str, ...], dict[Cell, np.ndarray], np.ndarray]:
    """→ classes, images (N, 1, 28, 28) uint8 for each Cell of GRID, labels (N,) int64; of `writers` alone, if given.

    Raises DataError as `load_drawings` does, and when there is no digit by any of these writers.
    """
    sheet = read_sheet(path)
    chosen = [n for n, digit in enumerate(sheet.digits) if writers is None or str(digit.writer) in writers]
    if not chosen:
        raise DataError(f"{path} holds no digit by any of the writers {', '.join(sorted(writers or ()))}.")
    cells = {}
    for done, cell in enumerate(GRID):

        def draw(number: int, cell: Cell = cell) -> Drawing:
            return sheet.digits[number].strokes, *cell

        def share(part: float, done: int = done) -> None:
            if progress:
                progress((done + part) / len(GRID))

        cells[cell] = _drawn(sheet, path, draw, chosen, share)
    return sheet.classes(), cells, sheet.labels()[chosen]


def _drawn(
    sheet: Sheet,
    path: Path,
    draw: Callable[[int], Drawing],
    numbers: Sequence[int],
    progress: Progress | None,
    copies: int = 1,
) -> np.ndarray:
    """What a model would see of each drawing: (N, 1, 28, 28) uint8. Of each digit there are `copies` numbers."""

    def seen(number: int) -> np.ndarray:
        strokes, brush, height = draw(number)
        try:
            canvas = render_strokes(strokes, sheet.box, sheet.y_axis, brush=brush, height=height)
        except DrawingError:
            canvas = None
        picture = None if canvas is None else to_model_input(canvas)
        if picture is None:
            name = f"Digit {number // copies} (counted from 0) in {path}"
            raise DataError(f"{name} has no stroke that can be seen: take it out.")
        return picture

    return np.stack(map_in_threads(seen, numbers, min(4, os.cpu_count() or 1), progress))[:, None]


def read_sheet(path: Path) -> Sheet:
    content = _read_bytes(path)
    try:
        return Sheet.model_validate_json(content)
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
    last = set(sorted(writers, key=natural_sort_key)[-math.ceil(len(writers) / 5) :])
    return np.array([digit.writer in last for digit in digits])
