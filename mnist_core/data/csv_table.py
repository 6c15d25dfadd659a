"""CSV files of images: an image a row, its pixels and perhaps its label in columns, read in bounded memory."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mnist_core.data.arrays import MAX_ARRAY_BYTES, Loaded, Part, assemble
from mnist_core.data.classes import listed
from mnist_core.data.csv_layout import Layout, find_layout, is_header, is_number
from mnist_core.data.csv_rows import Rows
from mnist_core.data.csv_source import Source, csv_sources
from mnist_core.errors import DataError
from mnist_core.system.progress import Progress

ROWS_AT_ONCE = 2000


def load_csv(path: Path, progress: Progress | None = None) -> Loaded:
    """A CSV (plain, .gz or in a .zip), or a folder with a train and a test CSV, as a dataset of (N, C, H, W) images.

    The label is in the column called label, class, y, target or digit; without a header it is the first or the last,
    whichever reads as labels, or one-hot in the first or the last columns. Pixels are 0 to 255, or 0 to 1. The images
    are square, grey or in colour, or of the size that column names such as 28x20 say. Without a test file, one fifth is
    held out.

    Raises DataError when a file is damaged, over a limit, has another layout or no labels.
    """
    parts, unlabelled, said = [], [], []
    with csv_sources(path) as (sources, left_out):
        for source in sources:
            table = _read(source, progress)
            names = table.names()
            if names is None:
                unlabelled.append(source.name)
                continue
            parts.append(Part(table.images(), names, source.test))
            said += [table.order] if table.order not in said else []
    if not parts or (unlabelled and not any(not part.test for part in parts)):
        raise DataError(
            f"{unlabelled[0]} has no column of labels, so nothing can be trained on it: "
            "`python -m mnist_core predict` reads it, or add a column called label."
        )
    if unlabelled:
        said.append(f"{', '.join(unlabelled)} has no labels and was left out.")
    if left_out:
        said.append(f"Of the files there, {listed(left_out)} {'is' if len(left_out) == 1 else 'are'} left out.")
    return assemble(parts, str(path), " ".join(filter(None, said)))


def read_unlabelled(path: Path | str, progress: Progress | None = None) -> np.ndarray:
    """The images of a CSV, plain, .gz or in a .zip → (N, C, H, W) uint8; labels are left out.

    Raises DataError when there are several files, or one is damaged, over a limit or has another layout.
    """
    with csv_sources(Path(path)) as (sources, _):
        if len(sources) > 1:
            raise DataError(f"{path} holds {len(sources)} CSV files: give the one whose images are to be read.")
        return _read(sources[0], progress).images()


def _read(source: Source, progress: Progress | None) -> Rows:
    with contextlib.closing(source.lines(progress)) as lines:
        return _table(source, lines)


def _table(source: Source, lines: Iterator[str]) -> Rows:
    first = next(lines, None)
    if first is None:
        raise DataError(f"{source.name} is empty: choose another file.")
    found = next((mark for mark in (",", ";", "\t", " ") if mark in first.strip()), ",")
    delimiter = None if found == " " else found
    cells = _cells(first, delimiter)
    header = is_header(cells)
    rows = lines if header else itertools.chain([first], lines)
    row = next(rows, "")
    rows = itertools.chain([row] if row else [], rows)
    same = row if _count(row, delimiter) == len(cells) else first
    table = Rows(source.name, find_layout(source.name, cells, header, delimiter, _cells(same, delimiter)))
    seen = int(header)
    while chunk := list(itertools.islice(rows, ROWS_AT_ONCE)):
        _add(table, chunk, seen)
        seen += len(chunk)
        if seen * len(table.layout.pixels) > MAX_ARRAY_BYTES:
            raise DataError(f"{source.name} has over {MAX_ARRAY_BYTES / 1e9:.0f} GB of pixels, the limit: split it.")
    if not table.chunks:
        raise DataError(f"{source.name} has a header and no rows: choose another file.")
    return table


def _cells(line: str, delimiter: str | None) -> list[str]:
    return [cell.strip().strip('"').strip() for cell in line.strip().split(delimiter)]


def _count(line: str, delimiter: str | None) -> int:
    return len(line.split()) if delimiter is None else 1 + line.count(delimiter)


def _add(table: Rows, lines: list[str], seen: int) -> None:
    """Appends rows; `seen` lines came before. Raises DataError that names the row at fault."""
    layout = table.layout
    texts: list[str] = []
    converters: dict[int | str, Callable[[str], Any]] = {}
    if layout.label is not None:

        def note(text: str) -> float:
            texts.append(text)
            return 0

        converters[layout.label] = note
    chosen = sorted({*layout.pixels, *layout.one_hot, *([] if layout.label is None else [layout.label])})
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
        if len(values) and not all(_count(line, layout.delimiter) == layout.columns for line in lines):
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
    elif layout.one_hot:
        places = [chosen.index(column) for column in layout.one_hot]
        hot, values = values[:, places], np.delete(values, places, axis=1)
        wrong = ~(np.isin(hot, (0, 1)).all(axis=1) & (hot.sum(axis=1) == 1))
        if wrong.any():
            raise DataError(
                f"{table.source} has {layout.columns:,} columns, of which {len(places)} are no one-hot labels in row "
                f"{seen + int(wrong.argmax()) + 1}: put the class into one column called label."
            )
        table.texts.extend(layout.names[place] for place in hot.argmax(axis=1))
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
        cells = line.strip().split(layout.delimiter)  # a blank at the end is no column
        if len(cells) != layout.columns:
            return f"row {number}, which has {len(cells):,} columns in place of {layout.columns:,}"
        for column in layout.pixels:
            if not is_number(cells[column].strip().strip('"')):
                return f"row {number}, which has {cells[column][:20]!r} in column {column + 1}"
    return f"rows {seen + 1} to {seen + len(lines)}"
