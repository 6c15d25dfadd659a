"""Arrays of any common form become the images and labels of a dataset: what every reader of files ends with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mnist_core.data.dataset import DIGITS
from mnist_core.data.lookalikes import orientation
from mnist_core.data.splits import MAX_CLASSES, held_out, natural_sort_key
from mnist_core.errors import DataError

MAX_SIDE = 64  # px of an image that is kept as it is
MAX_ARRAY_BYTES = 2 * 2**30  # of all images, unpacked


class Loaded(NamedTuple):
    """What a reader of a person's own files gives.

    Images (N, C, H, W) uint8, labels (N,) int64 into `classes`, and (N,) bool: which of them are test images. `warning`
    is a sentence about what was left out or looks wrong, empty where there is nothing to say. `preparation` is how the
    pictures became these images, "unrecorded" where they are as stored.
    """

    classes: tuple[str, ...]
    images: np.ndarray
    labels: np.ndarray
    test: np.ndarray
    warning: str = ""
    preparation: str = "unrecorded"


@dataclass(frozen=True)
class Part:
    """Images (N, C, H, W) uint8 with the name of each one's class (N,); `test` is None where no part is named."""

    images: np.ndarray
    names: Sequence[str]
    test: bool | None = None


def assemble(parts: Sequence[Part], where: str, warning: str = "") -> Loaded:
    """The parts as one dataset; without a test part, one fifth of each class is held out.

    Raises DataError when they differ in size or number of labels, hold no image or only equal ones, or have too few
    images or classes.
    """
    parts = sorted((part for part in parts if len(part.images)), key=lambda part: part.test or False)
    if not parts:
        raise DataError(f"{where} holds no image: choose another file.")
    for part in parts:
        if len(part.images) != len(part.names):
            raise DataError(f"{where} has {len(part.images):,} images and {len(part.names):,} labels: each needs one.")
    if len({part.images.shape[1:] for part in parts}) > 1:
        sizes = " and ".join("×".join(map(str, part.images.shape[1:])) for part in parts)
        raise DataError(f"{where} has parts of different sizes, {sizes}: all images must have one size.")
    names = [name for part in parts for name in part.names]
    found = set(names)
    if len(found) > MAX_CLASSES:
        raise DataError(f"{where} has {len(found):,} different labels, over the limit of {MAX_CLASSES} classes.")
    classes = tuple(sorted(found, key=natural_sort_key))
    index = {name: number for number, name in enumerate(classes)}
    labels = np.array([index[name] for name in names], dtype=np.int64)
    images = np.concatenate([part.images for part in parts])
    require_content(images, where)
    given = np.repeat([bool(part.test) for part in parts], [len(part.names) for part in parts])
    test = held_out(classes, labels, given if given.any() else None)
    turned = orientation(images, labels) if classes == DIGITS else ""
    return Loaded(classes, images, labels, test, " ".join(filter(None, (warning, turned))))


def all_equal(images: np.ndarray) -> bool:
    """Whether all images (N, …) are the same. Nearly every dataset differs at once, so they are compared in parts."""
    return all((part == images[:1]).all() for part in np.array_split(images, max(1, len(images) // 4096)))


def require_content(images: np.ndarray, where: str) -> None:
    """Raises DataError when all images (N, …) are the same, which is what a failed conversion leaves."""
    if len(images) > 1 and all_equal(images):
        what = "empty, with every pixel 0" if not images[0].any() else "the same picture"
        raise DataError(f"All {len(images):,} images in {where} are {what}: make the files again.")


def as_images(array: np.ndarray, where: str) -> np.ndarray:
    """Pixels as (N, H, W), (N, H×W), (N, H, W, C) or (N, C, H, W), C being 1 or 3 → (N, C, H, W) uint8.

    Values lie in 0 to 255, or in 0 to 1, in any type of number. Raises DataError for anything else.
    """
    if array.ndim == 2:
        side = round(array.shape[1] ** 0.5)
        if side * side != array.shape[1]:
            raise DataError(
                f"{where} has {array.shape[1]:,} pixels an image, which are no square: save it as (N, H, W)."
            )
        array = array.reshape(-1, side, side)
    if array.ndim == 3:
        array = array[:, None]
    elif array.ndim == 4 and array.shape[1] not in (1, 3) and array.shape[3] in (1, 3):
        array = array.transpose(0, 3, 1, 2)
    if array.ndim != 4 or array.shape[1] not in (1, 3):
        raise DataError(f"{where} has the shape {array.shape}: images are (N, H, W), (N, H, W, 3) or (N, 3, H, W).")
    height, width = array.shape[2:]
    if not (0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE):
        raise DataError(f"{where} has images of {height}×{width} px; up to {MAX_SIDE} px a side are read: shrink them.")
    return np.ascontiguousarray(as_bytes(array, where))


def as_bytes(values: np.ndarray, where: str) -> np.ndarray:
    """Numbers in 0 to 255, or in 0 to 1, → uint8 of 0 to 255. Raises DataError when they lie outside."""
    if values.dtype == np.uint8 or values.size == 0:
        unit = values.size > 0 and int(values.max()) == 1  # black and white as 0 and 1
        return values * np.uint8(255) if unit else values.astype(np.uint8)
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * np.uint8(255)
    if values.dtype.kind not in "iuf":
        raise DataError(f"{where} holds no numbers but {values.dtype}: pixels are 0 to 255, or 0 to 1.")
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 255):  # also of a NaN
        raise DataError(f"{where} has pixels from {low:g} to {high:g}: they must lie in 0 to 255, or in 0 to 1.")
    scale = 255 if high <= 1 else 1
    result = np.empty(values.shape, np.uint8)
    for start in range(0, len(values), 4096):
        result[start : start + 4096] = np.rint(values[start : start + 4096] * np.float32(scale))
    return result


def as_names(array: np.ndarray, where: str) -> list[str]:
    """Labels (N,) or (N, 1) as whole numbers or text, or one-hot (N, K), → the name of each one's class."""
    if array.ndim == 2 and array.shape[1] > 1 and array.dtype.kind in "iufb":
        if not (np.count_nonzero(array, axis=1) == 1).all():
            raise DataError(f"{where} has the shape {array.shape} and is not one-hot: labels are (N,).")
        array = array.argmax(axis=1)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise DataError(f"{where} has the shape {array.shape}: labels are (N,).")
    if array.dtype.kind == "f":
        if not (np.isfinite(array).all() and (array == np.floor(array)).all() and (np.abs(array) < 2**53).all()):
            raise DataError(f"{where} has labels that are no whole numbers: check which column or array they are in.")
        array = array.astype(np.int64)
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8", "replace")
    if array.dtype.kind not in "iubU":
        raise DataError(f"{where} holds labels of the type {array.dtype}: they are whole numbers or names.")
    return [name_of_class(str(value), where) for value in array.tolist()]


def name_of_class(text: str, where: str) -> str:
    """A label as the name of a class. Raises DataError when it is empty, unreadable or over 60 characters."""
    text = text.strip()
    if not text or len(text) > 60 or not text.isprintable():
        raise DataError(f"{where} has a label that is empty, unreadable or over 60 characters: {text[:60]!r}.")
    return text
