"""CIFAR-10 in torchvision's layout. Its files are pickles, read without running any code in them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from mnist_core.errors import DataError

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
FOLDER = "cifar-10-batches-py"
TRAIN_FILES = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST_FILE = "test_batch"
PER_FILE = 10_000
MAX_BYTES = 64 * 2**20  # per file; each has 31 MB


def cifar10_available(data_dir: Path | str) -> bool:
    """Whether all six files of images are in `data_dir`; their contents are checked on loading."""
    return all((Path(data_dir) / FOLDER / name).is_file() for name in (*TRAIN_FILES, TEST_FILE))


def load_cifar10(data_dir: Path) -> tuple[tuple[str, ...], np.ndarray, np.ndarray, np.ndarray]:
    """→ classes, images (60,000, 3, 32, 32) uint8, labels (60,000,) int64, and (60,000,) bool: the test images.

    Raises DataError when files are missing or damaged.
    """
    if not cifar10_available(data_dir):
        raise DataError(
            f"CIFAR-10 is not in {data_dir}. Download it on the Train page or with `python -m mnist_core download "
            "cifar10`, or set MNIST_LAB_DATA to a folder that has it."
        )
    parts = [read_batch(data_dir / FOLDER / name) for name in (*TRAIN_FILES, TEST_FILE)]
    images, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return CLASSES, images, labels, np.arange(len(labels)) >= len(TRAIN_FILES) * PER_FILE


def read_batch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """One file of the Python version (A. Krizhevsky, 2009) → images (10,000, 3, 32, 32) uint8, labels (10,000,) int64.

    A pickled dict whose `data` holds a row per image, all red, then all green, then all blue. Raises DataError.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError("too large")
        with open(path, "rb") as file:
            batch = _PlainUnpickler(file, encoding="bytes").load()
        pixels = batch[b"data"].as_uint8((PER_FILE, 3 * 32 * 32))
        labels = batch[b"labels"]
        if (
            type(labels) is not list
            or len(labels) != PER_FILE
            or not all(type(n) is int and 0 <= n <= 9 for n in labels)
        ):
            raise ValueError("no labels")
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}).") from None
    except Exception:  # a damaged pickle raises errors of any type
        raise DataError(f"{path} is damaged or no CIFAR-10 file: delete it and download CIFAR-10 again.") from None
    return pixels.reshape(-1, 3, 32, 32), np.array(labels, dtype=np.int64)


class _Array:
    """Stand-in for a numpy array while unpickling: it keeps the state in the file without running numpy's code."""

    def __init__(self, *_arguments: Any) -> None:
        self.state: Any = ()

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def as_uint8(self, shape: tuple[int, int]) -> np.ndarray:
        """The array as uint8. Raises ValueError or TypeError unless it is unsigned bytes, row-major, of `shape`."""
        _version, stored, kind, in_columns, content = self.state
        if stored != shape or kind.name != b"u1" or in_columns or type(content) is not bytes:
            raise ValueError("not the array of a CIFAR-10 file")
        return np.frombuffer(content, np.uint8).reshape(shape)


class _DType:
    """Stand-in for numpy's dtype."""

    def __init__(self, name: Any = None, *_flags: Any) -> None:
        self.name = name

    def __setstate__(self, _state: Any) -> None:
        """Ignores byte order and the like, which bytes do not have."""


class _NdArray:
    """Stand-in for numpy's ndarray, an argument of `_reconstruct` in the file."""


class _PlainUnpickler(pickle.Unpickler):
    """Unpickles lists, numbers, bytes and the stand-ins above; refuses any other name in the file."""

    allowed: ClassVar = {
        ("numpy.core.multiarray", "_reconstruct"): _Array,
        ("numpy._core.multiarray", "_reconstruct"): _Array,
        ("numpy", "ndarray"): _NdArray,
        ("numpy", "dtype"): _DType,
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.allowed:
            raise pickle.UnpicklingError(f"{module}.{name} has no place in a file of images")
        return self.allowed[module, name]
