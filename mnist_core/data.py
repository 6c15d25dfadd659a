"""load_dataset(name, data_dir) → Dataset of uint8 tensors in memory; stratified splits; batches of indices."""

from __future__ import annotations

import functools
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mnist_core.config import Shape
from mnist_core.errors import DataError

DIGITS = tuple("0123456789")
TITLES = {
    "mnist": "MNIST (70,000 handwritten digits, 28×28)",
    "digits": "digits (1,797 small handwritten digits, built in)",
}
_MNIST_FILES = {
    "train_images": ("train-images-idx3-ubyte", (60_000, 28, 28)),
    "train_labels": ("train-labels-idx1-ubyte", (60_000,)),
    "test_images": ("t10k-images-idx3-ubyte", (10_000, 28, 28)),
    "test_labels": ("t10k-labels-idx1-ubyte", (10_000,)),
}


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images (N, C, H, W) uint8 in [0, 255] and labels (N,) int64 in [0, classes), train and test apart."""

    name: str
    classes: tuple[str, ...]
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor

    @property
    def title(self) -> str:
        return TITLES.get(self.name, self.name)

    @property
    def shape(self) -> Shape:
        _, channels, height, width = self.train_images.shape
        return Shape(channels, height, width, len(self.classes))

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the test images and labels: a figure measured on them may be kept under this name."""
        return _digest(self.test_images, self.test_labels)

    @functools.cached_property
    def train_fingerprint(self) -> str:
        """SHA-256 over the training images and labels, likewise."""
        return _digest(self.train_images, self.train_labels)


def _digest(images: Tensor, labels: Tensor) -> str:
    digest = hashlib.sha256(images.contiguous().numpy())
    digest.update(labels.contiguous().numpy())
    return digest.hexdigest()


def data_folder() -> Path:
    """The data folder: MNIST_LAB_DATA, or ./data."""
    return Path(os.environ.get("MNIST_LAB_DATA") or "data")


def mnist_is_there(data_dir: Path | str) -> bool:
    """Whether all four files of MNIST lie in `data_dir` (their contents are checked when they are loaded)."""
    return all((Path(data_dir) / "MNIST" / "raw" / name).is_file() for name, _ in _MNIST_FILES.values())


def default_dataset(data_dir: Path | str) -> str:
    """`mnist` where it is there, else the built-in `digits`."""
    return "mnist" if mnist_is_there(data_dir) else "digits"


def load_dataset(name: str, data_dir: Path | str | None = None) -> Dataset:
    """The dataset called `name`, from `data_dir` (default: `data_folder()`). Kept in memory for the next call.

    Raises DataError when the name is unknown, or files are missing or damaged.
    """
    if name not in _LOADERS:
        raise DataError(f"There is no dataset '{name}'; there are: {', '.join(_LOADERS)}.")
    return _load(name, Path(data_dir if data_dir is not None else data_folder()).resolve())


@functools.lru_cache(maxsize=2)
def _load(name: str, data_dir: Path) -> Dataset:
    return _LOADERS[name](data_dir)


def _load_mnist(data_dir: Path) -> Dataset:
    raw = data_dir / "MNIST" / "raw"
    if not mnist_is_there(data_dir):
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


def _load_digits(_data_dir: Path) -> Dataset:
    """scikit-learn's 8×8 digits brought to MNIST's geometry (20 px inside 28), so that one can draw at what they teach.

    The set has no official test part: one fifth, stratified with a fixed seed, is held out as test.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    small = torch.from_numpy(images).float().view(-1, 1, 8, 8) * (255 / 16)
    large = torch.nn.functional.interpolate(small, size=(20, 20), mode="bicubic", antialias=False)
    pictures = torch.nn.functional.pad(large, (4, 4, 4, 4)).round().clamp(0, 255).to(torch.uint8)
    rows = np.arange(len(labels))
    train, test = (torch.from_numpy(r) for r in train_test_split(rows, test_size=0.2, stratify=labels, random_state=0))
    targets = torch.from_numpy(labels).long()
    return Dataset("digits", DIGITS, pictures[train], targets[train], pictures[test], targets[test])


_LOADERS = {"mnist": _load_mnist, "digits": _load_digits}
DATASETS = tuple(_LOADERS)


def split(labels: Tensor, validation_fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """(N,) labels → (training indices, validation indices), stratified by label, the same for the same seed.

    Raises DataError when a class has too few images to be in both parts.
    """
    from sklearn.model_selection import train_test_split

    try:
        train, validation = train_test_split(
            np.arange(len(labels)), test_size=validation_fraction, stratify=labels.numpy(), random_state=seed
        )
    except ValueError as error:
        raise DataError(f"The training images cannot be split into training and validation: {error}") from None
    return torch.from_numpy(np.sort(train)), torch.from_numpy(np.sort(validation))


def batches(indices: Tensor, batch_size: int, seed: int, epoch: int) -> list[Tensor]:
    """The epoch's mini-batches of `indices`, shuffled; a function of (seed, epoch) alone, so that a run can resume.

    A last batch of a single image joins the one before it: batch norm cannot learn from one.
    """
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    order = indices[torch.randperm(len(indices), generator=generator)]
    parts = list(order.split(batch_size))
    if len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts


def to_unit(images: Tensor) -> Tensor:
    """(N, C, H, W) uint8 → float32 in [0, 1], channels last in memory, where convolutions are fastest on a CPU."""
    return images.to(torch.float32, memory_format=torch.channels_last).div_(255)
