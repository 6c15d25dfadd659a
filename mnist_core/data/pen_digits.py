"""Pen strokes, rendered as the images that the Draw page would make of them."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mnist_core.data.arrays import Loaded
from mnist_core.data.splits import held_out, natural_sort_key
from mnist_core.data.stroke_files import Digit, StrokeFile, read_strokes
from mnist_core.drawing.preprocess import to_model_input
from mnist_core.drawing.strokes import Strokes, jitter_strokes, render_strokes
from mnist_core.errors import DataError, DrawingError
from mnist_core.system.progress import Progress
from mnist_core.system.threads import map_in_threads

# brush in px of a canvas of 280; height as the share of the canvas that a digit takes
BRUSH, HEIGHT = 20, 0.7  # defaults of the Draw page
BRUSHES, HEIGHTS = (8, 36), (0.3, 0.95)  # ranges in use there
Drawing = tuple[Strokes, float, float]  # strokes, brush, height


class Cell(NamedTuple):
    """A brush diameter in px, and the share of the canvas that the digit's longest side takes."""

    brush: int
    height: float


# all brushes at all sizes but one: the thickest brush fills the holes of a small digit
GRID = tuple(
    Cell(brush, height) for brush in (12, 20, 28) for height in (0.35, 0.7, 0.9) if brush < 28 or height >= 0.7
)


def load_drawings(path: Path, progress: Progress | None = None) -> Loaded:
    """→ classes, images (N, 1, 28, 28) uint8, labels (N,) int64, and (N,) bool: which of them are test images.

    Where digits have writers, those of the last fifth of the writers, in natural order, are the test images, which then
    measure how well a model reads unknown writers. Otherwise one fifth is held out.

    Raises DataError when the file is damaged, too large or in no known format, or classes have too few digits.
    """
    file = read_strokes(path)
    classes, labels = file.classes(), file.labels()
    test = held_out(classes, labels, _last_writers(path, file.digits))
    images = _render(file, path, lambda n: (file.digits[n].strokes, BRUSH, HEIGHT), range(len(labels)), progress)
    return Loaded(classes, images, labels, test, file.warning)


def load_copies(
    path: Path, copies: int, seed: int, progress: Progress | None = None
) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """→ classes, images (N × copies, 1, 28, 28) uint8, labels (N × copies,) int64: each digit drawn `copies` times.

    Each copy has a random brush and size and jittered strokes (`jitter_strokes`), all determined by `seed`. Raises
    DataError as `load_drawings` does.
    """
    file = read_strokes(path)

    def copy(number: int) -> Drawing:
        rng = np.random.default_rng((seed, number))
        strokes = jitter_strokes(file.digits[number // copies].strokes, rng)
        return strokes, rng.uniform(*BRUSHES), rng.uniform(*HEIGHTS)

    images = _render(file, path, copy, range(len(file.digits) * copies), progress, copies)
    return file.classes(), images, file.labels().repeat(copies)


def load_grid(
    path: Path, writers: Collection[str] | None = None, progress: Progress | None = None
) -> tuple[tuple[str, ...], dict[Cell, np.ndarray], np.ndarray]:
    """→ classes, images (N, 1, 28, 28) uint8 for each Cell of GRID, labels (N,) int64; only of `writers`, if given.

    Raises DataError as `load_drawings` does, and when there is no digit by these writers.
    """
    file = read_strokes(path)
    chosen = [n for n, digit in enumerate(file.digits) if writers is None or str(digit.writer) in writers]
    if not chosen:
        raise DataError(f"{path} holds no digit by any of the writers {', '.join(sorted(writers or ()))}.")
    cells = {}
    for done, cell in enumerate(GRID):

        def draw(number: int, cell: Cell = cell) -> Drawing:
            return file.digits[number].strokes, *cell

        def share(part: float, done: int = done) -> None:
            if progress:
                progress((done + part) / len(GRID))

        cells[cell] = _render(file, path, draw, chosen, share)
    return file.classes(), cells, file.labels()[chosen]


def _render(
    file: StrokeFile,
    path: Path,
    draw: Callable[[int], Drawing],
    numbers: Sequence[int],
    progress: Progress | None,
    copies: int = 1,
) -> np.ndarray:
    """(N, 1, 28, 28) uint8: the model's input for each drawing; each digit has `copies` consecutive numbers."""

    def model_input(number: int) -> np.ndarray:
        strokes, brush, height = draw(number)
        try:
            canvas = render_strokes(strokes, file.box, file.y_axis, brush=brush, height=height)
        except DrawingError:
            canvas = None
        picture = None if canvas is None else to_model_input(canvas)
        if picture is None:
            name = f"Digit {number // copies} (counted from 0) in {path}"
            raise DataError(f"{name} has no visible stroke: take it out.")
        return picture

    return np.stack(map_in_threads(model_input, numbers, min(4, os.cpu_count() or 1), progress))[:, None]


def _last_writers(path: Path, digits: list[Digit]) -> np.ndarray | None:
    """(N,) bool: the digits of the last fifth of the writers; None without writers, or with only one."""
    writers = {digit.writer for digit in digits}
    if len(writers) == 1:
        return None
    if None in writers:
        raise DataError(f"{path} names the writer of some digits and not of others: name all of them, or none.")
    last = set(sorted(writers, key=natural_sort_key)[-math.ceil(len(writers) / 5) :])
    return np.array([digit.writer in last for digit in digits])
