"""The pictures that `predict` is given: files, folders of them, and tables of pixels."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from mnist_core.data.archive import is_ignored
from mnist_core.data.csv_table import read_unlabelled
from mnist_core.data.splits import natural_sort_key
from mnist_core.drawing.images import SUFFIXES, read_picture
from mnist_core.errors import DrawingError

TABLES = (".csv", ".csv.gz", ".tsv")


@dataclass(frozen=True)
class Input:
    """One picture: its path, with `#row` for a row of a table (from 0), and `read`, which gives its pixels as uint8
    and raises DrawingError."""

    path: str
    read: Callable[[], np.ndarray]


def inputs(names: Sequence[str]) -> Iterator[Input]:
    """The pictures in `names`: a file, a folder with folders in it, or a CSV of pixels (`csv:PATH`, or by its ending).

    Hidden and system files are left out. Raises DrawingError for a folder without pictures, DataError for a table that
    cannot be read.
    """
    for name in names:
        table = name.startswith("csv:") and not os.path.exists(name)  # unlike Path.exists, False for a name too long
        path = Path(name.removeprefix("csv:") if table else name)
        if os.path.isdir(path) and not table:
            yield from _folder(path)
        elif table or name.lower().endswith(TABLES):
            for row, image in enumerate(read_unlabelled(path)):
                yield Input(
                    f"{path}#{row}", partial(np.asarray, image[0] if len(image) == 1 else image.transpose(1, 2, 0))
                )
        else:
            yield Input(str(path), partial(read_picture, path))


def _folder(path: Path) -> Iterator[Input]:
    found = (p.relative_to(path) for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    inside = sorted((p for p in found if not is_ignored(p.parts)), key=natural_sort_key)
    if not inside:
        raise DrawingError(f"There is no picture ({', '.join(SUFFIXES)}) in the folder {path}.")
    for part in inside:
        yield Input(str(path / part), partial(read_picture, path / part))
