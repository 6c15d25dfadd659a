"""MNIST in its IDX files, and scikit-learn's built-in `digits` in MNIST's geometry."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mnist_core.data.dataset import DIGITS, Dataset
from mnist_core.errors import DataError

_MNIST_FILES = {
    "train_images": ("train-images-idx3-ubyte", (60_000, 28, 28)),
    "train_labels": ("train-labels-idx1-ubyte", (60_000,)),
    "test_images": ("t10k-images-idx3-ubyte", (10_000, 28, 28)),
    "test_labels": ("t10k-labels-idx1-ubyte", (10_000,)),
}


def mnist_available(data_dir: Path | str) -> bool:
    """Whether all four files of MNIST are in `data_dir`; their contents are checked on loading."""
    return all((Path(data_dir) / "MNIST" / "raw" / name).is_file() for name, _ in _MNIST_FILES.values())


def load_mnist(data_dir: Path) -> Dataset:
    """MNIST from torchvision's layout in `data_dir`. Raises DataError when files are missing or damaged."""
    raw = data_dir / "MNIST" / "raw"
    if not mnist_available(data_dir):
        raise DataError(
            f"MNIST is not in {data_dir}. Download it on the Train page or with `python -m mnist_core download`, "
            "set MNIST_LAB_DATA to a folder that has it, or use the built-in dataset 'digits'."
        )
    parts = {part: read_idx(raw / name, shape) for part, (name, shape) in _MNIST_FILES.items()}
    for part in ("train_labels", "test_labels"):
        if int(parts[part].max()) > 9:
            raise DataError(f"{raw / _MNIST_FILES[part][0]} holds labels above 9: delete it and download MNIST again.")
    return Dataset(
        "mnist",
        DIGITS,
        parts["train_images"].unsqueeze(1),
        parts["train_labels"].long(),
        parts["test_images"].unsqueeze(1),
        parts["test_labels"].long(),
    )


def read_idx(path: Path, shape: tuple[int, ...]) -> Tensor:
    """A file in MNIST's IDX format → uint8 tensor of exactly `shape`. Raises DataError when it holds anything else.

    Format: two zero bytes, 8 for unsigned bytes, the number of dimensions, each as a big-endian int32, then the bytes.
    """
    try:
        raw = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).") from None
    header = bytes([0, 0, 8, len(shape)]) + np.array(shape, dtype=">i4").tobytes()
    if raw[: len(header)].tobytes() != header or raw.size != len(header) + int(np.prod(shape)):
        raise DataError(f"{path} is damaged or no MNIST file: delete it and download MNIST again.")
    return torch.from_numpy(raw[len(header) :].reshape(shape))


def load_digits(_data_dir: Path) -> Dataset:
    """scikit-learn's 8×8 digits resized to MNIST's geometry (20 px inside 28), so that models read drawings as well.

    The set has no official test part: one fifth, stratified with a fixed seed, is held out.
    """
    from sklearn import datasets
    from sklearn.model_selection import train_test_split

    images, labels = datasets.load_digits(return_X_y=True)
    small = torch.from_numpy(images).float().view(-1, 1, 8, 8) * (255 / 16)
    large = torch.nn.functional.interpolate(small, size=(20, 20), mode="bicubic", antialias=False)
    pictures = torch.nn.functional.pad(large, (4, 4, 4, 4)).round().clamp(0, 255).to(torch.uint8)
    rows = np.arange(len(labels))
    train, test = (torch.from_numpy(r) for r in train_test_split(rows, test_size=0.2, stratify=labels, random_state=0))
    targets = torch.from_numpy(labels).long()
    return Dataset("digits", DIGITS, pictures[train], targets[train], pictures[test], targets[test])
