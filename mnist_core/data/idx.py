"""IDX files, MNIST's own format: any number and size of images, plain or gzipped, under any of the usual names."""

from __future__ import annotations

import gzip
import math
import os
import re
import zlib
from pathlib import Path

import numpy as np

from mnist_core.data.arrays import MAX_ARRAY_BYTES, Loaded, Part, as_images, as_names, assemble
from mnist_core.errors import DataError
from mnist_core.system.progress import Progress

MAX_LABEL = 99
MAX_FOLDERS = 1000  # that are looked into, up to 4 names deep
_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
# train-images-idx3-ubyte, train-images.idx3-ubyte (7-Zip), emnist-letters-test-labels-idx1-ubyte.gz, …
_NAME = re.compile(r"(.*?)-?(train|t10k|test)-(images|labels)[-.]idx\d-(?:ubyte|int)(\.gz)?", re.IGNORECASE)
Files = dict[tuple[str, str], Path]  # ("train" or "test", "images" or "labels") → file


def load_idx(path: Path, progress: Progress | None = None) -> Loaded:
    """The four files (or the two of training) of a folder as a dataset; without a test part, one fifth is held out.

    Raises DataError when files are missing, damaged or do not fit each other, or images are over 64 px a side.
    """
    files = find_idx(path if path.is_dir() else path.parent, str(path))
    parts = []
    for number, part in enumerate(("train", "test")):
        if (part, "images") in files:
            images, labels = files[part, "images"], files[part, "labels"]
            pixels, values = read_idx(images), read_idx(labels)
            if values.ndim == 2:
                values = values[:, 0]  # QMNIST: the class and where the image is from
            if values.size and not 0 <= values.min() <= values.max() <= MAX_LABEL:
                raise DataError(
                    f"{labels} has labels from {values.min()} to {values.max()}; 0 to {MAX_LABEL} are read."
                )
            if len(pixels) != len(values):
                raise DataError(f"{images} has {len(pixels):,} images and {labels.name} {len(values):,} labels.")
            parts.append(Part(as_images(pixels, str(images)), as_names(values, str(labels)), part == "test"))
        if progress:
            progress((number + 1) / 2)
    return assemble(parts, str(path))


def find_idx(folder: Path, where: str) -> Files:
    """The IDX files in `folder` or below, those least deep. Raises DataError when they are not complete or not one set.

    An unpacked file is preferred to its .gz.
    """
    sets = _sets(folder)
    if not sets:
        raise DataError(
            f"There is no train-images-idx3-ubyte in {where}: `idx:FOLDER` needs MNIST's names "
            "(train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-…), with or without .gz."
        )
    depth = min(len(place.parts) for place, _ in sets)
    chosen = {key: files for key, files in sets.items() if len(key[0].parts) == depth}
    if len(chosen) > 1:
        names = ", ".join(sorted((place / prefix).name for place, prefix in chosen)[:8])
        raise DataError(f"{where} holds several datasets ({names}): copy the files of one into a folder of their own.")
    (files,) = chosen.values()
    for part, what in (("train", "images"), ("train", "labels"), ("test", "images"), ("test", "labels")):
        other = files.get((part, "labels" if what == "images" else "images"))
        if (part, what) not in files and (part == "train" or other):
            beside = f" beside {other.name}" if other else ""
            raise DataError(f"The {part} {what} are missing{beside} in {where}: put their IDX file there.")
    return files


def _sets(root: Path) -> dict[tuple[Path, str], Files]:
    """(folder, prefix of the names) → the files there."""
    sets: dict[tuple[Path, str], Files] = {}
    for seen, (folder, below, names) in enumerate(os.walk(root)):
        depth = len(Path(folder).relative_to(root).parts)
        if depth >= 4 or seen >= MAX_FOLDERS:
            below.clear()
        for name in sorted(names, key=lambda name: (name.lower().endswith(".gz"), name)):
            match = _NAME.fullmatch(name)
            if match and (Path(folder) / name).is_file():
                part = "train" if match[2].lower() == "train" else "test"
                sets.setdefault((Path(folder), match[1].lower()), {}).setdefault(
                    (part, match[3].lower()), Path(folder) / name
                )
    return sets


def read_idx(path: Path, damaged: str = "copy or download it again") -> np.ndarray:
    """A file in the IDX format, plain or gzipped → its array; `damaged` says what to do about a damaged one.

    Format: two zero bytes, the type (8 for unsigned bytes), the number of dimensions, each as a big-endian int32, then
    the values. Raises DataError when the file is anything else or over 2 GB.
    """
    try:
        with open(path, "rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            source = gzip.GzipFile(fileobj=file) if packed else file
            header = source.read(4)
            kind, rank = _TYPES.get(header[2] if len(header) == 4 else 0), header[3] if len(header) == 4 else 0
            if header[:2] != b"\0\0" or kind is None or not 1 <= rank <= 4:
                raise DataError(f"{path} is damaged or no IDX file, the format of MNIST: {damaged}.")
            sizes = source.read(4 * rank)
            shape = tuple(int.from_bytes(sizes[4 * n : 4 * n + 4]) for n in range(rank))
            count = math.prod(shape) * np.dtype(kind).itemsize
            if count > MAX_ARRAY_BYTES:
                raise DataError(f"{path} says that it has {count / 1e9:.1f} GB, over the limit of 2 GB.")
            short = not packed and count > os.fstat(file.fileno()).st_size
            content = b"" if short else source.read(count + 1)  # no memory is taken for what is not there
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise DataError(f"{path} is damaged or cut short: {damaged}.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}).") from None
    if len(content) != count or len(sizes) != 4 * rank:
        raise DataError(f"{path} is damaged, as it is not as long as its header says: {damaged}.")
    values = np.frombuffer(content, kind).reshape(shape)
    return values.astype(values.dtype.newbyteorder("="))  # a copy, which may be written to
