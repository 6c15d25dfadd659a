"""NumPy archives (.npz) such as Keras' mnist.npz: arrays x_train, y_train, x_test and y_test, never unpickled."""

from __future__ import annotations

import math
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from mnist_core.data.archive import printable
from mnist_core.data.arrays import MAX_ARRAY_BYTES, Loaded, Part, as_images, as_names, assemble
from mnist_core.errors import DataError
from mnist_core.system.progress import Progress

# names of images and labels that are in use, in small letters and without "_"
_TRAIN = (("xtrain", "ytrain"), ("trainimages", "trainlabels"), ("trainx", "trainy"), ("traindata", "trainlabels"))
_TEST = (("xtest", "ytest"), ("testimages", "testlabels"), ("testx", "testy"), ("testdata", "testlabels"))
_WHOLE = (
    ("images", "labels"),
    ("x", "y"),
    ("data", "labels"),
    ("data", "target"),
    ("image", "label"),
    ("arr0", "arr1"),
)
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError, NotImplementedError, OSError)


def load_npz(path: Path, progress: Progress | None = None) -> Loaded:
    """The arrays of an .npz as a dataset: x_train, y_train, x_test, y_test, or images and labels alone.

    Images are (N, H, W), (N, H, W, C) or (N, C, H, W), in 0 to 255 or 0 to 1; labels are numbers, names or one-hot.
    Without a test part, one fifth is held out.

    Raises DataError when the file is damaged, over a limit, has other arrays, or holds Python objects, which could run
    a program.
    """
    try:
        with zipfile.ZipFile(path) as file:
            return _load(path, file, progress)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}).") from None
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        raise DataError(f"{path} is no whole .npz file: save it again with numpy.savez.") from None


def _load(path: Path, file: zipfile.ZipFile, progress: Progress | None) -> Loaded:
    arrays = {info.filename.removesuffix(".npy"): info for info in file.infolist() if info.filename.endswith(".npy")}
    plain = {name.lower().replace("_", "").replace("-", ""): name for name in arrays}
    train, test, whole = (_pair(plain, pairs) for pairs in (_TRAIN, _TEST, _WHOLE))
    pairs = [(train, False), (test, True)] if train else [(whole, None)]
    parts = []
    for number, (pair, is_test) in enumerate(pairs):
        if pair is None:
            if is_test:
                continue
            found = printable(", ".join(sorted(arrays))) or "none"
            raise DataError(
                f"{path} has no arrays of a known name ({found}): call them x_train, y_train, x_test and y_test, "
                "or images and labels."
            )
        images, labels = (_read(path, file, arrays[name]) for name in pair)
        parts.append(
            Part(
                as_images(images, f"{printable(pair[0])} in {path}"),
                as_names(labels, f"{printable(pair[1])} in {path}"),
                is_test,
            )
        )
        if progress:
            progress((number + 1) / len(pairs))
    return assemble(parts, str(path))


def _pair(plain: dict[str, str], pairs: tuple[tuple[str, str], ...]) -> tuple[str, str] | None:
    return next(((plain[images], plain[labels]) for images, labels in pairs if {images, labels} <= plain.keys()), None)


def _read(path: Path, file: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    """One array; its size is checked in its header before memory is taken. Raises DataError."""
    name = f"{printable(info.filename)} in {path}"
    try:
        with file.open(info) as source:
            version = npy.read_magic(source)
            read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, by_columns, dtype = read_header(source)
            if dtype.hasobject:
                raise DataError(
                    f"{name} holds Python objects, which are not read as they could run a program: "
                    "save plain numbers, such as `array.astype(numpy.uint8)`."
                )
            size = math.prod(shape) * dtype.itemsize
            if size > MAX_ARRAY_BYTES:
                raise DataError(
                    f"{name} has {size / 1e9:.1f} GB, over the limit of 2 GB: save it as uint8 or take less."
                )
            if size > info.file_size:
                raise DataError(f"{name} is cut short: save the file again.")
            values = np.frombuffer(source.read(size), dtype)
            return values.reshape(shape[::-1]).T if by_columns else values.reshape(shape)
    except _DAMAGE:
        raise DataError(f"{name} is damaged: save the file again.") from None
