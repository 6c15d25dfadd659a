"""USPS: 9,298 digits of 16×16 px from envelopes (Hull, 1994), in torchvision's files, which are in libsvm's format."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mnist_core.data.dataset import DIGITS, Dataset
from mnist_core.data.geometry import enlarged, in_mnists_geometry
from mnist_core.errors import DataError

FILES = ("usps.bz2", "usps.t.bz2")  # training and test images
PLACES = ("", "USPS", "usps")  # folders in the data folder; torchvision has no folder of its own for it
PIXELS = 256
MAX_BYTES = 64 * 2**20  # of a file; the larger one has 7 MB


def usps_available(data_dir: Path | str) -> bool:
    """Whether both files are in `data_dir`; their contents are checked on loading."""
    return _files(Path(data_dir)) is not None


def load_usps(data_dir: Path) -> Dataset:
    """USPS in MNIST's geometry, so that models of the one read the other. Raises DataError for missing or damaged
    files."""
    files = _files(data_dir)
    if files is None:
        raise DataError(
            f"USPS is not in {data_dir}. Download it on the Train page or with `python -m mnist_core download usps`, "
            "set MNIST_LAB_DATA to a folder that has it, or use the built-in dataset 'digits'."
        )
    train, test = (_part(path) for path in files)
    return Dataset("usps", DIGITS, *train, *test)


def _part(path: Path) -> tuple[np.ndarray, np.ndarray]:
    images, labels = read_usps(path)
    return in_mnists_geometry(enlarged(images[:, None])), labels


def read_usps(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """→ images (N, 16, 16) uint8, light on dark, and labels (N,) int64 in 0 to 9.

    The file has labels of 1 to 10 and pixels of -1 to 1. Raises DataError when it holds anything else.
    """
    from sklearn.datasets import load_svmlight_file

    damaged = DataError(f"{path} is damaged or no file of USPS: delete it and download USPS again.")
    try:
        if path.stat().st_size > MAX_BYTES:
            raise damaged
        values, labels = load_svmlight_file(str(path), n_features=PIXELS, dtype=np.float32, zero_based=False)
    except (OSError, EOFError, ValueError) as error:
        if isinstance(error, OSError) and error.strerror:
            raise DataError(f"{path} cannot be read ({error.strerror}).") from None
        raise damaged from None
    pixels = values.toarray()
    if not len(labels) or not np.isin(labels, range(1, 11)).all() or not (abs(pixels) <= 1).all():
        raise damaged
    images = ((pixels + 1) / 2 * 255).astype(np.uint8).reshape(-1, 16, 16)
    return images, labels.astype(np.int64) - 1


def _files(data_dir: Path) -> tuple[Path, Path] | None:
    for place in PLACES:
        train, test = (data_dir / place / name for name in FILES)
        if train.is_file() and test.is_file():
            return train, test
    return None
