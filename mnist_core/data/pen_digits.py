"""Pen strokes, rendered as the images that the Draw page would make of them."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mnist_core.data.arrays import Loaded
from mnist_core.data.splits import held_out, natural_sort_key
from mnist_core.data.stroke_files import Digit, StrokeFile, read_strokes
from mnist_core.drawing.hands import LEARNED, invent_hand
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

    The test images are those that the file marks as `test`. Without such marks, where digits have writers, they are
    those of the last fifth of the writers, in natural order, which then measure how well a model reads unknown writers.
    Otherwise one fifth is held out.

    Raises DataError when the file is damaged, too large or in no known format, or classes have too few digits.
    """
    file = read_strokes(path)
    classes, labels = file.classes(), file.labels()
    test = held_out(classes, labels, _given_test(path, file))
    return Loaded(classes, _plain(file, path, range(len(labels)), progress), labels, test, file.warning)


class Taught(NamedTuple):
    """Drawings to teach a model: (N, 1, 28, 28) uint8 and (N,) int64 labels into `classes`, train and test apart.

    `drawings` is the number of different ones among the training images, `writers` are the names that stand at them.
    """

    classes: tuple[str, ...]
    images: np.ndarray
    labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    drawings: int
    writers: tuple[str, ...]
    warning: str


def load_taught(path: Path, copies: int, seed: int, progress: Progress | None = None) -> Taught:
    """The drawings in `path`, split as `load_drawings` does, but that with marks a class may have no test image, and
    one class is enough. Each training drawing comes `copies` times, as in `load_copies`; once and as it is for 0.

    Raises DataError as `load_drawings` does, and where there is nothing to learn from or to judge by.
    """
    file = read_strokes(path)
    labels, marks = file.labels(), file.marked()
    test = held_out(file.classes(), labels, _given_test(path, file)) if marks is None else marks
    train, judged = np.flatnonzero(~test).tolist(), np.flatnonzero(test).tolist()
    if not train:
        raise DataError(f"{path} marks all of its digits as test: there is none to learn from.")
    draw = partial(_varied, file, train, copies, seed) if copies else None
    images = (
        _plain(file, path, train, progress)
        if draw is None
        else _render(file, path, draw, range(len(train) * copies), progress, copies)
    )
    return Taught(
        file.classes(),
        images,
        labels[train].repeat(copies or 1),
        _plain(file, path, judged, None),
        labels[test],
        len(train),
        tuple(sorted({str(digit.writer) for digit in file.digits if digit.writer is not None}, key=natural_sort_key)),
        file.warning,
    )


def load_copies(
    path: Path,
    copies: int,
    seed: int,
    progress: Progress | None = None,
    invented: float = 0.0,
    ideas: Collection[str] = LEARNED,
) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """→ classes, images (N × copies, 1, 28, 28) uint8, labels (N × copies,) int64: each digit drawn `copies` times.

    Each copy has a random brush and size and jittered strokes (`jitter_strokes`), all determined by `seed`. The share
    `invented` of them is written in an invented hand first (`invent_hand`, by these `ideas`). Raises DataError as
    `load_drawings` does.
    """
    file = read_strokes(path)
    draw = partial(_varied, file, range(len(file.digits)), copies, seed, invented=invented, ideas=ideas)
    images = _render(file, path, draw, range(len(file.digits) * copies), progress, copies)
    return file.classes(), images, file.labels().repeat(copies)


def _varied(
    file: StrokeFile,
    chosen: Sequence[int],
    copies: int,
    seed: int,
    number: int,
    *,
    invented: float = 0.0,
    ideas: Collection[str] = LEARNED,
) -> Drawing:
    """Copy `number` of the `chosen` digits, each of which has `copies` consecutive ones."""
    digit = file.digits[chosen[number // copies]]
    strokes: Strokes = digit.strokes
    if invented:
        own = np.random.default_rng((seed, number, 1))  # so that all other copies stay what they are without
        if own.random() < invented:
            strokes = invent_hand(strokes, str(digit.label), own, file.y_axis, ideas)
    rng = np.random.default_rng((seed, number))
    strokes = jitter_strokes(strokes, rng)
    return strokes, rng.uniform(*BRUSHES), rng.uniform(*HEIGHTS)


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


def _plain(file: StrokeFile, path: Path, chosen: Sequence[int], progress: Progress | None) -> np.ndarray:
    """(N, 1, 28, 28) uint8: the `chosen` digits with the brush and size with which the Draw page begins."""
    return _render(file, path, lambda number: (file.digits[number].strokes, BRUSH, HEIGHT), chosen, progress)


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


def _given_test(path: Path, file: StrokeFile) -> np.ndarray | None:
    """(N,) bool: the digits marked as test, else those of the last fifth of the writers; None without either."""
    marks = file.marked()
    return _last_writers(path, file.digits) if marks is None else marks


def _last_writers(path: Path, digits: list[Digit]) -> np.ndarray | None:
    """(N,) bool: the digits of the last fifth of the writers; None without writers, or with only one."""
    writers = {digit.writer for digit in digits}
    if len(writers) == 1:
        return None
    if None in writers:
        raise DataError(f"{path} names the writer of some digits and not of others: name all of them, or none.")
    last = set(sorted(writers, key=natural_sort_key)[-math.ceil(len(writers) / 5) :])
    return np.array([digit.writer in last for digit in digits])
