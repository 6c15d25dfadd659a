"""Image folders: a person's own images in a folder, .zip or .tar of train/CLASS/*.png and test/CLASS/*.png."""

from __future__ import annotations

import contextlib
import io
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from mnist_core.data.archive import Member, open_archive, printable
from mnist_core.data.arrays import Loaded
from mnist_core.data.picture_files import Options, Sample, find_samples, unreadable
from mnist_core.data.splits import held_out, natural_sort_key
from mnist_core.drawing.images import FORMATS, fit_image, flatten_alpha, size_within
from mnist_core.errors import DataError
from mnist_core.system.progress import Progress
from mnist_core.system.threads import map_in_threads

MAX_PIXELS = 64_000_000  # of one picture, as of a large camera
MAX_KEPT_SIDE = 64  # px: images that all have one size up to this keep it
GREY_SIDE, COLOUR_SIDE = 28, 32  # px: others are resized to these, the sizes of MNIST and CIFAR-10
MAX_GREY_SPREAD = 8  # levels between the channels of a pixel that lossy compression leaves in a grey picture
LARGE_FILE = 2**15  # bytes on average (measured: 60,000 files of 900 bytes take 12 s in one thread, 16 s in two)


def load_pictures(path: Path, progress: Progress | None = None, options: Options | None = None) -> Loaded:
    """→ classes, images (N, C, H, W) uint8, labels (N,) int64, and (N,) bool: which of them are test images.

    Classes are the folders' names in natural order. Images are grey if none has colour, else RGB. Images that all have
    one size up to 64 px keep it; others are fitted into 28×28 (grey) or 32×32 (colour) px in their proportions.
    Without a test folder, one fifth is held out.

    Raises DataError when the folder has another layout, files are no pictures (all are named, or left out if `options`
    say so), or a limit is exceeded.
    """
    options = options or Options()
    with open_archive(path, options.encoding) as listing:
        samples, warning = find_samples(path, listing, options)
        samples.sort(key=lambda s: (s.test or False, natural_sort_key(s.member.name)))
        _labelled(samples)  # what is wrong with the classes is said before anything is read
        read = _read_all(path, [sample.member for sample in samples], progress)
    bad = [(s.member, found) for s, found in zip(samples, read, strict=True) if isinstance(found, DataError)]
    if bad and not options.skip_unreadable:
        raise unreadable(path, bad)
    if bad:
        samples = [s for s, found in zip(samples, read, strict=True) if not isinstance(found, DataError)]
        warning = f"{warning} {len(bad):,} unreadable pictures were left out.".strip()
    pictures = [found for found in read if not isinstance(found, DataError)]
    return Loaded(*_labelled(samples, _stack(pictures)), warning)


def _labelled(
    samples: list[Sample], images: np.ndarray | None = None
) -> tuple[tuple[str, ...], np.ndarray, np.ndarray, np.ndarray]:
    """→ classes, the images, labels (N,) int64 and (N,) bool: which are test images. Raises DataError as `held_out`."""
    classes = tuple(sorted({sample.label for sample in samples}, key=natural_sort_key))
    index = {name: number for number, name in enumerate(classes)}
    labels = np.array([index[sample.label] for sample in samples], dtype=np.int64)
    given = np.array([bool(sample.test) for sample in samples]) if any(s.test for s in samples) else None
    return classes, np.empty(0, np.uint8) if images is None else images, labels, held_out(classes, labels, given)


# ---- reading --------------------------------------------------------------------------------------------------------


def read_pictures(path: Path, members: list[Member], progress: Progress | None = None) -> np.ndarray:
    """Files of pictures → (N, 1, H, W) uint8, or (N, 3, H, W) if one has colour, as `load_pictures` fits them.

    Raises DataError when a file is no picture.
    """
    read = _read_all(path, members, progress)
    if bad := [found for found in read if isinstance(found, DataError)]:
        raise bad[0]
    return _stack([found for found in read if not isinstance(found, DataError)])


def _read_all(path: Path, members: list[Member], progress: Progress | None) -> list[_Picture | DataError]:
    """Large files are read in several threads, as Pillow decodes without the GIL; small ones are faster in one."""

    def read(member: Member) -> _Picture | DataError:
        try:
            return _decode(member.read(), f"{printable(member.name)} in {path}")
        except DataError as error:  # all that cannot be read are named together
            return error

    large = sum(member.size for member in members) > LARGE_FILE * len(members)
    threads = min(4, os.cpu_count() or 1) if large else 1
    return map_in_threads(read, members, threads, progress)


@dataclass(frozen=True)
class _Picture:
    """(H, W) or (H, W, 3) uint8, at most MAX_KEPT_SIDE px a side, and whether that is its original size."""

    pixels: np.ndarray
    own_size: bool

    def has_colour(self) -> bool:
        if self.pixels.ndim == 2:
            return False
        return int((self.pixels.max(axis=2) - self.pixels.min(axis=2)).max()) > MAX_GREY_SPREAD


def _decode(data: bytes, name: str) -> _Picture:
    """A file's bytes → the picture, upright, transparency on white. Raises DataError."""
    try:
        picture: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError:
        raise DataError(f"{name} is over {MAX_PIXELS / 1e6:.0f} million pixels: shrink it.") from None
    except Exception:  # Pillow's parsers raise errors of many types
        raise DataError(f"{name} cannot be read as a picture: save it as PNG or JPEG, or take it out.") from None
    width, height = picture.size
    if width * height > MAX_PIXELS:  # from the header, before anything is decoded
        raise DataError(f"{name} has {width}×{height} pixels, over {MAX_PIXELS / 1e6:.0f} million: shrink it.")
    try:
        own_size = max(width, height) <= MAX_KEPT_SIDE
        if not own_size:
            picture.draft(None, (2 * MAX_KEPT_SIDE, 2 * MAX_KEPT_SIDE))  # decodes a JPEG no larger than needed
        picture.load()
        with contextlib.suppress(Exception):  # a damaged EXIF block does not make the picture unreadable
            picture = ImageOps.exif_transpose(picture)
        picture = flatten_alpha(picture)
        if not own_size:
            picture = picture.resize(
                size_within(picture.size, MAX_KEPT_SIDE, MAX_KEPT_SIDE), Image.Resampling.LANCZOS, reducing_gap=3
            )
        pixels = np.asarray(picture)
    except Exception:
        raise DataError(f"{name} is damaged or cut short: save it again, or take it out.") from None
    return _Picture(pixels, own_size)


# ---- one size -------------------------------------------------------------------------------------------------------


def _stack(pictures: list[_Picture]) -> np.ndarray:
    """→ (N, 1, H, W) uint8 if none has colour, else (N, 3, H, W)."""
    coloured = any(picture.has_colour() for picture in pictures)
    sizes = {picture.pixels.shape[:2] for picture in pictures}
    height = width = COLOUR_SIDE if coloured else GREY_SIDE
    keep = len(sizes) == 1 and all(picture.own_size for picture in pictures)
    if keep:
        ((height, width),) = sizes
    stack = np.empty((len(pictures), 3 if coloured else 1, height, width), np.uint8)
    for row, picture in zip(stack, pictures, strict=True):
        pixels = picture.pixels
        if not coloured and pixels.ndim == 3:
            pixels = np.asarray(Image.fromarray(pixels).convert("L"))
        if not keep:
            pixels = fit_image(pixels, height, width)
        row[:] = pixels if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    return stack
