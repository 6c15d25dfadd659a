"""Image folders: a person's own images in a folder or a .zip of train/CLASS/*.png and test/CLASS/*.png."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from mnist_core.config import Shape
from mnist_core.data.archive import Member, open_archive
from mnist_core.data.arrays import Loaded
from mnist_core.data.prepared import SIDE, as_input, sample
from mnist_core.data.splits import held_out, natural_sort_key
from mnist_core.drawing.images import SUFFIXES, decode_picture, fit_image
from mnist_core.drawing.preparation import SHRUNK_SIDE, looks_drawn, prepare, shrink
from mnist_core.errors import DataError, DrawingError
from mnist_core.system.progress import Progress
from mnist_core.system.threads import map_in_threads

GREY_SIDE, COLOUR_SIDE = 28, 32  # px: others are resized to these, the sizes of MNIST and CIFAR-10
MAX_GREY_SPREAD = 8  # levels between the channels of a pixel that lossy compression leaves in a grey picture
LARGE_FILE = 2**15  # bytes on average (measured: 60,000 files of 900 bytes take 12 s in one thread, 16 s in two)
# folder → whether its images are test images; those of a validation folder become training images, as every training
# holds out its own validation part
PART_FOLDERS = {"train": False, "training": False, "val": False, "valid": False, "validation": False}
PART_FOLDERS |= {"test": True, "testing": True}
Item = TypeVar("Item")


@dataclass(frozen=True)
class _Sample:
    member: Member
    label: str
    test: bool | None


def load_pictures(
    path: Path, progress: Progress | None = None, preparation: str = "auto", shape: Shape | None = None
) -> Loaded:
    """→ classes, images (N, C, H, W) uint8, labels (N,) int64, (N,) bool: which of them are test images, and the
    preparation: "drawing" or "whole" where "auto" was asked for.

    Classes are the folders' names in natural order. As drawings, images are grey and 28×28 px. As a whole, they are
    grey if none has colour, else RGB; images that all have one size up to 64 px keep it, others are fitted into 28×28
    (grey) or 32×32 (colour) px in their proportions. With the `shape` of a model, all are fitted to that. Without a
    test folder, one fifth is held out.

    Raises DataError when the folder has another layout, a file is no picture, or a limit is exceeded.
    """
    with open_archive(path) as members:
        samples = sorted(_samples(path, members), key=lambda s: (s.test or False, natural_sort_key(s.member.name)))
        classes = tuple(sorted({sample.label for sample in samples}, key=natural_sort_key))
        index = {name: number for number, name in enumerate(classes)}
        labels = np.array([index[sample.label] for sample in samples], dtype=np.int64)
        given = np.array([bool(sample.test) for sample in samples]) if any(s.test for s in samples) else None
        test = held_out(classes, labels, given)
        files = [sample.member for sample in samples]
        if preparation == "auto":
            some = [files[row] for row in sample(np.flatnonzero(~test).tolist())]
            preparation = "drawing" if looks_drawn(_readable(path, some)) else "whole"
        if preparation == "drawing":
            wanted = (shape.channels, shape.height, shape.width) if shape else (1, SIDE, SIDE)

            def drawing(member: Member) -> np.ndarray:
                return as_input(prepare(_decode(path, member), "drawing", *wanted), wanted)

            images = np.stack(_each(files, drawing, progress))
        else:
            images = _stack(_each(files, lambda member: _shrunk(path, member), progress), shape)
    return Loaded(classes, images, labels, test, preparation=preparation)


# ---- files and their classes ----------------------------------------------------------------------------------------


def _samples(path: Path, members: list[Member]) -> list[_Sample]:
    """Each picture with the class of its folder. Raises DataError when a file is misplaced."""
    start = 0
    if not _top_folders(members, 0) & set(PART_FOLDERS) and len(_top_folders(members, 0)) == 1:
        nested = [member for member in members if len(member.parts) > 2]
        start = 1 if nested else 0  # a packed folder has all its files in one top folder
    parted = bool(_top_folders(members, start) & set(PART_FOLDERS))
    samples = []
    for member in members:
        parts = member.parts[start:]
        is_picture = parts[-1].lower().endswith(SUFFIXES) if parts else False
        if len(parts) != 2 + parted:
            if is_picture:
                raise DataError(_misplaced(path, member))
            continue  # a README beside the folders
        if not is_picture:
            raise DataError(
                f"{member.name} in {path} is no picture ({', '.join(SUFFIXES)}): take it out of the class folder."
            )
        if parted and parts[0].lower() not in PART_FOLDERS:
            raise DataError(_misplaced(path, member))
        label = parts[parted]
        if not label.isprintable() or len(label) > 60:
            raise DataError(f"{path} has a class folder whose name is over 60 characters or unreadable: rename it.")
        samples.append(_Sample(member, label, PART_FOLDERS[parts[0].lower()] if parted else None))
    if not samples:
        raise DataError(f"There are no pictures in {path}: they lie in train/CLASS/ and test/CLASS/, or in CLASS/.")
    return samples


def _top_folders(members: list[Member], start: int) -> set[str]:
    return {member.parts[start].lower() for member in members if len(member.parts) > start + 1}


def _misplaced(path: Path, member: Member) -> str:
    return (
        f"{member.name} in {path} lies in no class folder: put pictures into train/CLASS/ and test/CLASS/, "
        "or into CLASS/ alone."
    )


# ---- reading --------------------------------------------------------------------------------------------------------


def read_pictures(path: Path, members: list[Member], progress: Progress | None = None) -> np.ndarray:
    """Files of pictures → (N, 1, H, W) uint8, or (N, 3, H, W) if one has colour, as a whole (see `load_pictures`).

    Raises DataError when a file is no picture.
    """
    return _stack(_each(members, lambda member: _shrunk(path, member), progress))


def _each(members: list[Member], read: Callable[[Member], Item], progress: Progress | None) -> list[Item]:
    """Large files are read in several threads, as Pillow decodes without the GIL; small ones are faster in one."""
    large = sum(member.size for member in members) > LARGE_FILE * len(members)
    return map_in_threads(read, members, min(4, os.cpu_count() or 1) if large else 1, progress)


def _decode(path: Path, member: Member) -> np.ndarray:
    """→ (H, W), (H, W, 3) or (H, W, 4) uint8, as `predict` reads the same file. Raises DataError."""
    try:
        return decode_picture(member.read(), f"{member.name} in {path}")
    except DrawingError as error:
        raise DataError(f"{error} Or take it out.") from None


def _readable(path: Path, members: list[Member]) -> Iterator[np.ndarray]:
    """Those that can be decoded; the others are named when all are read."""
    for member in members:
        with contextlib.suppress(DataError):
            yield _decode(path, member)


@dataclass(frozen=True)
class _Picture:
    """(H, W, 3) uint8 of at most 64 px a side, whether that is its own size, and whether it has colour."""

    pixels: np.ndarray
    own_size: bool
    coloured: bool


def _shrunk(path: Path, member: Member) -> _Picture:
    pixels = _decode(path, member)
    small = shrink(pixels, 3)
    spread = int((small.max(axis=2) - small.min(axis=2)).max())
    return _Picture(small, max(pixels.shape[:2]) <= SHRUNK_SIDE, spread > MAX_GREY_SPREAD)


# ---- one size -------------------------------------------------------------------------------------------------------


def _stack(pictures: list[_Picture], shape: Shape | None = None) -> np.ndarray:
    """→ (N, C, H, W) uint8: the channels and size of `shape`, else those that suit the pictures."""
    coloured = any(picture.coloured for picture in pictures)
    sizes = {picture.pixels.shape[:2] for picture in pictures}
    height = width = COLOUR_SIDE if coloured else GREY_SIDE
    if len(sizes) == 1 and all(picture.own_size for picture in pictures):
        ((height, width),) = sizes
    channels = 3 if coloured else 1
    if shape is not None:
        channels, height, width = shape.channels, shape.height, shape.width
    stack = np.empty((len(pictures), channels, height, width), np.uint8)
    for row, picture in zip(stack, pictures, strict=True):
        pixels = np.array(Image.fromarray(picture.pixels).convert("L")) if channels == 1 else picture.pixels
        if pixels.shape[:2] != (height, width):
            pixels = fit_image(pixels, height, width)
        row[:] = as_input(pixels, (channels, height, width))
    return stack
