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
from mnist_core.data.archive import Member, open_archive, printable
from mnist_core.data.arrays import Loaded
from mnist_core.data.dataset import DIGITS
from mnist_core.data.lookalikes import orientation
from mnist_core.data.picture_files import Options, Sample, find_samples, unreadable
from mnist_core.data.prepared import SIDE, as_input, sample
from mnist_core.data.splits import held_out, natural_sort_key
from mnist_core.drawing.images import decode_picture, fit_image
from mnist_core.drawing.preparation import SHRUNK_SIDE, looks_drawn, prepare, shrink
from mnist_core.errors import DataError, DrawingError
from mnist_core.system.progress import Progress
from mnist_core.system.threads import map_in_threads

GREY_SIDE, COLOUR_SIDE = 28, 32  # px: others are resized to these, the sizes of MNIST and CIFAR-10
MAX_GREY_SPREAD = 8  # levels between the channels of a pixel that lossy compression leaves in a grey picture
LARGE_FILE = 2**15  # bytes on average (measured: 60,000 files of 900 bytes take 12 s in one thread, 16 s in two)
Item = TypeVar("Item")


def load_pictures(
    path: Path,
    progress: Progress | None = None,
    preparation: str = "auto",
    shape: Shape | None = None,
    options: Options | None = None,
) -> Loaded:
    """→ classes, images (N, C, H, W) uint8, labels (N,) int64, (N,) bool: which of them are test images, and the
    preparation: "drawing" or "whole" where "auto" was asked for.

    Classes are the folders' names in natural order. As drawings, images are grey and 28×28 px. As a whole, they are
    grey if none has colour, else RGB; images that all have one size up to 64 px keep it, others are fitted into 28×28
    (grey) or 32×32 (colour) px in their proportions. With the `shape` of a model, all are fitted to that. Without a
    test folder, one fifth is held out.

    Raises DataError when the folder has another layout, files are no pictures (all are named, or left out if `options`
    say so), or a limit is exceeded.
    """
    options = options or Options()
    wanted = (shape.channels, shape.height, shape.width) if shape else (1, SIDE, SIDE)
    with open_archive(path, options.encoding) as listing:
        samples, warning = find_samples(path, listing, options)
        samples.sort(key=lambda s: (s.test or False, natural_sort_key(s.member.name)))
        *_, test = _labelled(samples)  # what is wrong with the classes is said before anything is read
        files = [sample.member for sample in samples]
        if preparation == "auto":
            some = [files[row] for row in sample(np.flatnonzero(~test).tolist())]
            preparation = "drawing" if looks_drawn(_readable(path, some)) else "whole"
        if preparation == "drawing":
            drawings = _each(files, lambda m: as_input(prepare(_decode(path, m), "drawing", *wanted), wanted), progress)
            samples, kept, left_out = _without_unreadable(path, samples, drawings, options)
            images = np.stack(kept)
        else:
            shrunk = _each(files, lambda member: _shrunk(path, member), progress)
            samples, pictures, left_out = _without_unreadable(path, samples, shrunk, options)
            images = _stack(pictures, shape)
    classes, labels, test = _labelled(samples)
    # as drawings, all are light on dark; as a whole, a dark ground is the pictures' own
    turned = orientation(images, labels) if preparation == "drawing" and classes == DIGITS else ""
    said = " ".join(filter(None, (warning, left_out, turned)))
    return Loaded(classes, images, labels, test, said, preparation)


def _labelled(samples: list[Sample]) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """→ classes, labels (N,) int64 and (N,) bool: which are test images. Raises DataError as `held_out`."""
    classes = tuple(sorted({sample.label for sample in samples}, key=natural_sort_key))
    index = {name: number for number, name in enumerate(classes)}
    labels = np.array([index[sample.label] for sample in samples], dtype=np.int64)
    given = np.array([bool(sample.test) for sample in samples]) if any(s.test for s in samples) else None
    return classes, labels, held_out(classes, labels, given)


# ---- reading --------------------------------------------------------------------------------------------------------


def read_pictures(path: Path, members: list[Member], progress: Progress | None = None) -> np.ndarray:
    """Files of pictures → (N, 1, H, W) uint8, or (N, 3, H, W) if one has colour, as a whole (see `load_pictures`).

    Raises DataError when a file is no picture.
    """
    read = _each(members, lambda member: _shrunk(path, member), progress)
    if bad := [found for found in read if isinstance(found, DataError)]:
        raise bad[0]
    return _stack([found for found in read if not isinstance(found, DataError)])


def _each(members: list[Member], read: Callable[[Member], Item], progress: Progress | None) -> list[Item | DataError]:
    """What `read` gives or raises. Large files are read in several threads, as Pillow decodes without the GIL; small
    ones are faster in one."""

    def attempt(member: Member) -> Item | DataError:
        try:
            return read(member)
        except DataError as error:  # all that cannot be read are named together
            return error

    large = sum(member.size for member in members) > LARGE_FILE * len(members)
    return map_in_threads(attempt, members, min(4, os.cpu_count() or 1) if large else 1, progress)


def _without_unreadable(
    path: Path, samples: list[Sample], read: list[Item | DataError], options: Options
) -> tuple[list[Sample], list[Item], str]:
    """The samples that were read, what was read, and a sentence on the others. Raises DataError, which names these,
    unless `options` leave them out."""
    bad = [(s.member, found) for s, found in zip(samples, read, strict=True) if isinstance(found, DataError)]
    if bad and not options.skip_unreadable:
        raise unreadable(path, bad)
    kept = [(s, found) for s, found in zip(samples, read, strict=True) if not isinstance(found, DataError)]
    were = "picture was" if len(bad) == 1 else "pictures were"
    said = f"{len(bad):,} unreadable {were} left out." if bad else ""
    return [s for s, _ in kept], [found for _, found in kept], said


def _decode(path: Path, member: Member) -> np.ndarray:
    """→ (H, W), (H, W, 3) or (H, W, 4) uint8, as `predict` reads the same file. Raises DataError."""
    try:
        return decode_picture(member.read(), f"{printable(member.name)} in {path}")
    except DrawingError as error:
        raise DataError(str(error)) from None


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
