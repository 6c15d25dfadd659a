"""load_pictures(path) → a person's own images, from a folder or a .zip of train/CLASS/*.png and test/CLASS/*.png."""

from __future__ import annotations

import contextlib
import io
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from mnist_core.data.archive import Member, open_archive
from mnist_core.data.splits import held_out, natural_sort_key
from mnist_core.drawing.images import FORMATS, SUFFIXES, fit_image, flatten_alpha, size_within
from mnist_core.errors import DataError
from mnist_core.system.progress import Progress
from mnist_core.system.threads import map_in_threads

MAX_PIXELS = 64_000_000  # of one picture: a large camera's
LARGEST_KEPT = 64  # px a side: images of one size up to this keep it
GREY_SIDE, COLOUR_SIDE = 28, 32  # px: what others are brought to, MNIST's and CIFAR's own sizes
COLOURLESS = 8  # grey levels between a pixel's channels: lossy formats leave as much in a grey picture
LARGE_FILE = 2**15  # bytes, on average (measured: 60,000 files of 900 bytes take 12 s in one thread, 16 s in two)
# a validation part of its own is learned from: every training holds out its own share
PARTS = {"train": False, "training": False, "val": False, "valid": False, "validation": False}
PARTS |= {"test": True, "testing": True}


@dataclass(frozen=True)
class _Sample:
    member: Member
    label: str
    test: bool | None


def load_pictures(
    path: Path, progress: Progress | None = None
) -> tuple[tuple[str, ...], np.ndarray, np.ndarray, np.ndarray]:
    """→ classes, images (N, C, H, W) uint8, labels (N,) int64, and (N,) bool: which of them are test images.

    Classes are the folders' names in natural order. Images are grey if none has colour, else RGB; of one size up to
    64 px they keep it, others are fitted into 28×28 (grey) or 32×32 (colour) with their proportions. Without a test
    folder one fifth is held out. `progress` is called with the share done, in (0, 1].

    Raises DataError when the folder is not laid out so, a file is no picture, or a limit is passed.
    """
    with open_archive(path) as members:
        samples = sorted(_samples(path, members), key=lambda s: (s.test or False, natural_sort_key(s.member.name)))
        classes = tuple(sorted({sample.label for sample in samples}, key=natural_sort_key))
        index = {name: number for number, name in enumerate(classes)}
        labels = np.array([index[sample.label] for sample in samples], dtype=np.int64)
        given = np.array([bool(sample.test) for sample in samples]) if any(s.test for s in samples) else None
        test = held_out(classes, labels, given)
        pictures = _read_all(path, [sample.member for sample in samples], progress)
    return classes, _stacked(pictures), labels, test


# ---- which files, which class ---------------------------------------------------------------------------------------


def _samples(path: Path, members: list[Member]) -> list[_Sample]:
    """Each picture with its class, by where it lies. Raises DataError when one lies elsewhere."""
    start = 0
    if not _tops(members, 0) & set(PARTS) and len(_tops(members, 0)) == 1:
        nested = [member for member in members if len(member.parts) > 2]
        start = 1 if nested else 0  # all in one folder, as packing a folder gives
    parted = bool(_tops(members, start) & set(PARTS))
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
        if parted and parts[0].lower() not in PARTS:
            raise DataError(_misplaced(path, member))
        label = parts[parted]
        if not label.isprintable() or len(label) > 60:
            raise DataError(f"{path} has a class folder whose name is over 60 characters or unreadable: rename it.")
        samples.append(_Sample(member, label, PARTS[parts[0].lower()] if parted else None))
    if not samples:
        raise DataError(f"There are no pictures in {path}: they lie in train/CLASS/ and test/CLASS/, or in CLASS/.")
    return samples


def _tops(members: list[Member], start: int) -> set[str]:
    return {member.parts[start].lower() for member in members if len(member.parts) > start + 1}


def _misplaced(path: Path, member: Member) -> str:
    return (
        f"{member.name} in {path} lies in no class folder: put pictures into train/CLASS/ and test/CLASS/, "
        "or into CLASS/ alone."
    )


# ---- reading --------------------------------------------------------------------------------------------------------


def _read_all(path: Path, members: list[Member], progress: Progress | None) -> list[_Picture]:
    """Large files in several threads: Pillow decodes without Python's lock. Over small ones threads only quarrel."""
    large = sum(member.size for member in members) > LARGE_FILE * len(members)
    threads = min(4, os.cpu_count() or 1) if large else 1
    return map_in_threads(lambda m: _decoded(m.read(), f"{m.name} in {path}"), members, threads, progress)


@dataclass(frozen=True)
class _Picture:
    """(H, W) or (H, W, 3) uint8, at most LARGEST_KEPT a side, and whether that is the size it came in."""

    pixels: np.ndarray
    own_size: bool

    def has_colour(self) -> bool:
        if self.pixels.ndim == 2:
            return False
        return int((self.pixels.max(axis=2) - self.pixels.min(axis=2)).max()) > COLOURLESS


def _decoded(data: bytes, name: str) -> _Picture:
    """A file's bytes → the picture, upright, on white where it is transparent. Raises DataError."""
    try:
        picture: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError:
        raise DataError(f"{name} is over {MAX_PIXELS / 1e6:.0f} million pixels: shrink it.") from None
    except Exception:  # Pillow's parsers raise whatever they stumble over
        raise DataError(f"{name} cannot be read as a picture: save it as PNG or JPEG, or take it out.") from None
    width, height = picture.size
    if width * height > MAX_PIXELS:  # from the header, before anything is decoded
        raise DataError(f"{name} has {width}×{height} pixels, over {MAX_PIXELS / 1e6:.0f} million: shrink it.")
    try:
        own_size = max(width, height) <= LARGEST_KEPT
        if not own_size:
            picture.draft(None, (2 * LARGEST_KEPT, 2 * LARGEST_KEPT))  # a JPEG is decoded no larger than is needed
        picture.load()
        with contextlib.suppress(Exception):  # a damaged EXIF block does not make the picture unreadable
            picture = ImageOps.exif_transpose(picture)
        picture = flatten_alpha(picture)
        if not own_size:
            picture = picture.resize(
                size_within(picture.size, LARGEST_KEPT, LARGEST_KEPT), Image.Resampling.LANCZOS, reducing_gap=3
            )
        pixels = np.asarray(picture)
    except Exception:
        raise DataError(f"{name} is damaged or cut short: save it again, or take it out.") from None
    return _Picture(pixels, own_size)


# ---- one size -------------------------------------------------------------------------------------------------------


def _stacked(pictures: list[_Picture]) -> np.ndarray:
    """→ (N, 1, H, W) where none has colour, else (N, 3, H, W)."""
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
