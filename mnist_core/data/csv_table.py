"""CSV files of images: an image a row, its pixels and perhaps its label in columns, read in bounded memory."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mnist_core.data.arrays import MAX_ARRAY_BYTES, Loaded, Part, as_names, assemble, name_of_class
from mnist_core.data.csv_layout import Layout, find_layout, is_header, is_number
from mnist_core.data.csv_source import Source, csv_sources
from mnist_core.errors import DataError
from mnist_core.system.progress import Progress

ROWS_AT_ONCE = 2000


def load_csv(path: Path, progress: Progress | None = None) -> Loaded:
    """A CSV (plain, .gz or in a .zip), or a folder with a train and a test CSV, as a dataset of (N, 1, H, W) images.

    The label is in the column called label, class, y, target or digit; without a header it is the first or the last,
    whichever reads as labels. Pixels are 0 to 255, or 0 to 1. The images are square, or of the size that column names
    such as 28x20 say. Without a test file, one fifth is held out.

    Raises DataError when a file is damaged, over a limit, has another layout or no labels.
    """
    parts, unlabelled = [], []
    with csv_sources(path) as sources:
        for source in sources:
            table = _read(source, progress)
            names = table.names()
            if names is None:
                unlabelled.append(source.name)
                continue
            parts.append(Part(table.images(), names, source.test))
    if not parts or (unlabelled and not any(not part.test for part in parts)):
        raise DataError(
            f"{unlabelled[0]} has no column of labels, so nothing can be trained on it: "
            "`python -m mnist_core predict` reads it, or add a column called label."
        )
    said = f"{', '.join(unlabelled)} has no labels and was left out." if unlabelled else ""
    return assemble(parts, str(path), said)


def read_unlabelled(path: Path | str, progress: Progress | None = None) -> np.ndarray:
    """The images of a CSV, plain, .gz or in a .zip → (N, 1, H, W) uint8; a column of labels is left out.

    Raises DataError when there are several files, or one is damaged, over a limit or has another layout.
    """
    with csv_sources(Path(path)) as sources:
        if len(sources) > 1:
            raise DataError(f"{path} holds {len(sources)} CSV files: give the one whose images are to be read.")
        return _read(sources[0], progress).images()


@dataclass
class _Table:
    """The rows of a file: pixels as bytes in chunks, and the columns that may be labels as numbers."""

    source: str
    layout: Layout
    chunks: list[np.ndarray] = field(default_factory=list)  # (n, pixels) uint8; of "unit" ones 255 × the values
    unit: list[bool] = field(default_factory=list)  # whether all values of the chunk lie in 0 to 1
    first: list[np.ndarray] = field(default_factory=list)  # (n,) float32
    last: list[np.ndarray] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)  # labels of a column that a header names

    def label_at(self, lenient: bool = False) -> str | None:
        """Where the label is: `named`, `first`, `last` or None; if `lenient`, also where its values do not tell."""
        if self.layout.label is not None:
            return "named"
        if not self.layout.has_spare:
            return None
        scores = {"first": _likeness(np.concatenate(self.first)), "last": _likeness(np.concatenate(self.last))}
        best = max(scores, key=lambda name: scores[name])  # the first of equals
        if scores[best] < 0 and lenient:  # perhaps a single row: a corner's pixel is 0
            return "last" if not np.concatenate(self.first).any() and np.concatenate(self.last).any() else "first"
        if scores[best] < 0:
            raise DataError(
                f"{self.source} has one column more than pixels, and neither the first nor the last reads as labels "
                "(whole numbers, 2 to 100 different ones): add a header that names the column label."
            )
        return best

    def names(self) -> list[str] | None:
        """The name of each row's class; None without labels."""
        place = self.label_at()
        if place is None:
            return None
        if place == "named":
            return [_plain_number(text, self.source) for text in self.texts]
        return as_names(np.concatenate(self.first if place == "first" else self.last), self.source)

    def images(self) -> np.ndarray:
        """(N, 1, H, W) uint8."""
        place = self.label_at(lenient=True)
        whole_unit = all(self.unit)
        count = sum(len(chunk) for chunk in self.chunks)
        pixels = np.empty((count, self.layout.height * self.layout.width), np.uint8)
        start = 0
        for number, chunk in enumerate(self.chunks):
            if self.unit[number] and not whole_unit:  # a dark part of a file of 0 to 255
                chunk = np.rint(chunk / np.float32(255)).astype(np.uint8)
            if self.layout.has_spare:
                other = (self.last if place == "first" else self.first)[number]
                spare = np.rint(other.clip(0, 255) * np.float32(255 if whole_unit else 1)).astype(np.uint8)[:, None]
                chunk = np.hstack([chunk, spare] if place == "first" else [spare, chunk])
            pixels[start : start + len(chunk)] = chunk
            start += len(chunk)
        return pixels.reshape(count, 1, self.layout.height, self.layout.width)


def _read(source: Source, progress: Progress | None) -> _Table:
    with contextlib.closing(source.lines(progress)) as lines:
        return _table(source, lines)


def _table(source: Source, lines: Iterator[str]) -> _Table:
    first = next(lines, None)
    if first is None:
        raise DataError(f"{source.name} is empty: choose another file.")
    delimiter = next((mark for mark in (",", ";", "\t", " ") if mark in first), ",")
    cells = [cell.strip().strip('"').strip() for cell in first.strip().split(delimiter)]
    header = is_header(cells)
    table = _Table(source.name, find_layout(source.name, cells, header, delimiter))
    rows = lines if header else itertools.chain([first], lines)
    seen = int(header)
    while chunk := list(itertools.islice(rows, ROWS_AT_ONCE)):
        _add(table, chunk, seen)
        seen += len(chunk)
        if seen * len(table.layout.pixels) > MAX_ARRAY_BYTES:
            raise DataError(f"{source.name} has over {MAX_ARRAY_BYTES / 1e9:.0f} GB of pixels, the limit: split it.")
    if not table.chunks:
        raise DataError(f"{source.name} has a header and no rows: choose another file.")
    return table


def _add(table: _Table, lines: list[str], seen: int) -> None:
    """Appends rows; `seen` lines came before. Raises DataError that names the row at fault."""
    layout = table.layout
    texts: list[str] = []
    converters: dict[int | str, Callable[[str], Any]] = {}
    if layout.label is not None:

        def note(text: str) -> float:
            texts.append(text)
            return 0

        converters[layout.label] = note
    chosen = sorted({*layout.pixels, *([] if layout.label is None else [layout.label])})
    try:
        values = np.loadtxt(
            lines,
            np.float32,
            comments=None,
            delimiter=layout.delimiter,
            converters=converters or None,
            usecols=chosen,
            ndmin=2,
            quotechar='"',
        )
        if len(values) and not all(line.count(layout.delimiter) == layout.columns - 1 for line in lines):
            raise ValueError("another number of columns")
    except ValueError:
        raise DataError(
            f"{table.source} cannot be read in {_bad_row(layout, lines, seen)}: correct that row."
        ) from None
    if not len(values):
        return
    if layout.label is not None:
        values = np.delete(values, chosen.index(layout.label), axis=1)
        table.texts.extend(texts)
    if layout.has_spare:
        table.first.append(values[:, 0].copy())
        table.last.append(values[:, -1].copy())
        values = values[:, 1:-1]
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 255):
        bad = int(np.argmax(~((values >= 0) & (values <= 255)).all(axis=1)))
        raise DataError(
            f"{table.source} has pixels from {low:g} to {high:g} near row {seen + bad + 1}: "
            "they must lie in 0 to 255, or in 0 to 1."
        )
    unit = high <= 1
    table.unit.append(unit)
    table.chunks.append(np.rint(values * np.float32(255 if unit else 1)).astype(np.uint8))


def _bad_row(layout: Layout, lines: list[str], seen: int) -> str:
    for number, line in enumerate(lines, start=seen + 1):
        cells = line.strip().split(layout.delimiter)
        if len(cells) != layout.columns:
            return f"row {number}, which has {len(cells):,} columns in place of {layout.columns:,}"
        for column in layout.pixels:
            if not is_number(cells[column].strip().strip('"')):
                return f"row {number}, which has {cells[column][:20]!r} in column {column + 1}"
    return f"rows {seen + 1} to {seen + len(lines)}"


def _likeness(values: np.ndarray) -> float:
    """How much a column is like labels: its normalised entropy, and 1 more for consecutive numbers; -1 for none."""
    found, counts = np.unique(values, return_counts=True)
    whole = bool(np.isfinite(values).all()) and bool((found == np.floor(found)).all())
    if not whole or not 2 <= len(found) <= min(100, max(10, len(values) // 2)) or found[0] < 0:
        return -1.0
    shares = counts / counts.sum()
    entropy = float(-(shares * np.log(shares)).sum() / np.log(len(found)))
    return entropy + float(found[-1] - found[0] == len(found) - 1)


def _plain_number(text: str, where: str) -> str:
    """`7`, `7.0` and ` "7" ` are the class 7."""
    text = text.strip().strip('"').strip()
    match = re.fullmatch(r"(\d{1,15})(?:\.0*)?", text)
    return str(int(match[1])) if match else name_of_class(text, where)
