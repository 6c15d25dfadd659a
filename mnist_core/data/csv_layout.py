"""Which columns of a CSV are pixels and which is the label, from its first row."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

from mnist_core.data.arrays import MAX_SIDE
from mnist_core.errors import DataError

LABEL_NAMES = ("label", "labels", "class", "y", "target", "digit")
IGNORED_NAMES = ("", "id", "index", "imageid", "unnamed: 0", "split", "usage")


@dataclass(frozen=True)
class Layout:
    """Which columns are pixels; with `has_spare`, the first or the last is a label, found by its values."""

    delimiter: str
    columns: int
    pixels: tuple[int, ...]
    height: int
    width: int
    label: int | None
    has_spare: bool


def is_header(cells: list[str]) -> bool:
    """Names, or the numbers 0, 1, 2, … (also as 0.1, 0.2, …) that pandas writes for columns without names."""
    words = sum(bool(cell) and not is_number(cell) for cell in cells)
    if 2 * words > len(cells) or {cells[0].casefold(), cells[-1].casefold()} & set(LABEL_NAMES):
        return True
    tail = [cell.rpartition(".")[2] for cell in cells[-20:]]
    if len(tail) < 20 or not all(part.isdecimal() for part in tail):
        return False
    return all(int(after) == int(before) + 1 for before, after in itertools.pairwise(tail))


def is_number(text: str) -> bool:
    """Whether Python reads the text as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def find_layout(name: str, cells: list[str], header: bool, delimiter: str) -> Layout:
    """The layout that the cells of the first row tell, which is a header or not. Raises DataError where none fits."""
    titles = [cell.casefold() for cell in cells] if header else []
    label = next((titles.index(title) for title in LABEL_NAMES if title in titles), None)
    kept = [n for n in range(len(cells)) if n != label and (not titles or titles[n] not in IGNORED_NAMES)]
    size = (_named_size([titles[n] for n in kept]) if titles else None) or _square(len(kept))
    has_spare = False
    if size is None and label is None:
        size = _square(len(kept) - 1)
        has_spare = size is not None
    if size is None or not 2 <= min(size) <= max(size) <= MAX_SIDE:
        raise DataError(
            f"{name} has {len(cells):,} columns, which are no square image of up to {MAX_SIDE} px a side, with or "
            "without a label (784 or 785 for MNIST): check it, or name the columns label, 1x1, 1x2, …"
        )
    # with a spare column, first and last are kept apart until it is known which of them is the label
    return Layout(delimiter, len(cells), tuple(kept), *size, label, has_spare)


def _square(count: int) -> tuple[int, int] | None:
    side = round(max(count, 0) ** 0.5)
    return (side, side) if side > 1 and side * side == count else None


def _named_size(titles: list[str]) -> tuple[int, int] | None:
    """Height and width from names of pixels such as 1x1 … 28x20 or r0c0 … r27c19."""
    pairs = [re.findall(r"\d+", title) for title in titles]
    if not pairs or any(len(pair) != 2 for pair in pairs):
        return None
    rows, columns = ([int(pair[n]) for pair in pairs] for n in (0, 1))
    height, width = (max(values) - min(values) + 1 for values in (rows, columns))
    return (height, width) if height * width == len(titles) else None
