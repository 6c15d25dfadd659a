"""The rows of a CSV of images: which column is the label, and what the pixels are, once all are read."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np

from mnist_core.data.arrays import as_names, name_of_class
from mnist_core.data.csv_layout import Layout
from mnist_core.errors import DataError


@dataclass
class Rows:
    """The rows of a file: pixels as bytes in chunks, and the columns that may be labels as numbers."""

    source: str
    layout: Layout
    chunks: list[np.ndarray] = field(default_factory=list)  # (n, pixels) uint8; of "unit" ones 255 × the values
    unit: list[bool] = field(default_factory=list)  # whether all values of the chunk lie in 0 to 1
    first: list[np.ndarray] = field(default_factory=list)  # (n,) float32
    last: list[np.ndarray] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)  # labels of a column that a header names, or of one-hot columns
    order: str = ""  # a sentence on the order of colours, once `images` has found it

    def label_at(self, lenient: bool = False) -> str | None:
        """Where the label is: `named`, `first`, `last` or None; if `lenient`, also where its values do not tell."""
        if self.layout.label is not None or self.layout.one_hot:
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
        """(N, C, H, W) uint8."""
        place = self.label_at(lenient=True)
        whole_unit = all(self.unit)
        count = sum(len(chunk) for chunk in self.chunks)
        channels, height, width = self.layout.channels, self.layout.height, self.layout.width
        pixels = np.empty((count, channels * height * width), np.uint8)
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
        if channels == 1:
            return pixels.reshape(count, 1, height, width)
        by_pixel = _is_by_pixel(pixels)
        how = "red, green and blue of each pixel together" if by_pixel else "all red first, then green, then blue"
        self.order = (
            f"The {pixels.shape[1]:,} pixel columns are read as colour, {how}, as their values suggest: save them as "
            ".npz of (N, H, W, 3) if the pictures look wrong."
        )
        if by_pixel:
            return np.ascontiguousarray(pixels.reshape(count, height, width, 3).transpose(0, 3, 1, 2))
        return pixels.reshape(count, 3, height, width)


def _is_by_pixel(pixels: np.ndarray) -> bool:
    """Whether (N, 3·H·W) values are more like those three places on, the next pixel's of one colour, than the next."""
    some = pixels[:: -(-len(pixels) // 500)].astype(int)
    return bool(abs(some[:, 3:] - some[:, :-3]).mean() < abs(np.diff(some, axis=1)).mean())


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
