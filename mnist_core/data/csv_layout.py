"""Which columns of a CSV are pixels and which are the label, from its first rows."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

from mnist_core.data.arrays import MAX_SIDE
from mnist_core.data.splits import MAX_CLASSES
from mnist_core.errors import DataError

LABEL_NAMES = ("label", "labels", "class", "y", "target", "digit")
IGNORED_NAMES = ("", "id", "index", "imageid", "unnamed: 0", "split", "usage")


@dataclass(frozen=True)
class Layout:
    """Which columns are pixels, of one channel or three; None as `delimiter` is any number of blanks.

    With `has_spare`, the first or the last of `pixels` is a label, found by its values. `one_hot` are columns of which
    one is 1 and the others 0, and `names` those of their classes.
    """

    delimiter: str | None
    columns: int
    pixels: tuple[int, ...]
    channels: int
    height: int
    width: int
    label: int | None = None
    has_spare: bool = False
    one_hot: tuple[int, ...] = ()
    names: tuple[str, ...] = ()


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


def find_layout(name: str, cells: list[str], header: bool, delimiter: str | None, row: list[str]) -> Layout:
    """The layout that the cells of the first line tell, a `header` or not, and those of the first `row` of numbers.

    Raises DataError where none fits.
    """
    titles = [cell.casefold() for cell in cells] if header else []
    label = next((titles.index(title) for title in LABEL_NAMES if title in titles), None)
    kept = [n for n in range(len(cells)) if n != label and (not titles or titles[n] not in IGNORED_NAMES)]
    size = (_named_size([titles[n] for n in kept]) if titles else None) or _square(len(kept))
    if size is not None and 2 <= min(size) <= max(size) <= MAX_SIDE:
        return Layout(delimiter, len(cells), tuple(kept), 1, *size, label)
    for channels in (1, 3):
        for spare in (0, 1) if label is None else (0,):
            count, rest = divmod(len(kept) - spare, channels)
            size = None if rest or (channels, spare) == (1, 0) else _square(count)
            if size is not None and size[0] <= MAX_SIDE:
                # with a spare column, first and last are kept apart until it is known which of them is the label
                return Layout(delimiter, len(cells), tuple(kept), channels, *size, label, bool(spare))
    if label is None and (found := _one_hot(kept, row)):
        hot, size = found
        pixels = tuple(n for n in kept if n not in hot)
        return Layout(
            delimiter, len(cells), pixels, 1, *size, one_hot=hot, names=_names([cells[n] for n in hot], header)
        )
    raise DataError(
        f"{name} has {len(cells):,} columns, which are no square image of up to {MAX_SIDE} px a side, grey or in "
        "colour, with or without a label (784 or 785 for MNIST): check it, or name the columns label, 1x1, 1x2, …"
    )


def _one_hot(kept: list[int], row: list[str]) -> tuple[tuple[int, ...], tuple[int, int]] | None:
    """The last or the first columns, where one is 1 and the others 0, and the size of the square that is left."""
    for side in range(MAX_SIDE, 1, -1):
        count = len(kept) - side * side
        for hot in (kept[-count:], kept[:count]) if 2 <= count <= MAX_CLASSES else ():
            values = [row[n] for n in hot]
            if all(is_number(value) for value in values) and sorted(map(float, values)) == [0.0] * (count - 1) + [1.0]:
                return tuple(hot), (side, side)
    return None


def _names(titles: list[str], header: bool) -> tuple[str, ...]:
    """The classes of one-hot columns: what is different in their titles, or their numbers from 0."""
    if not header:
        return tuple(map(str, range(len(titles))))
    start = sum(1 for _ in itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*titles, strict=False)))
    short = [title[start:] for title in titles]
    return tuple(short if all(short) else titles)


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
