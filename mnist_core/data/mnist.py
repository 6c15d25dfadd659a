"""MNIST, Fashion-MNIST and KMNIST in their IDX files, and scikit-learn's built-in `digits` in MNIST's geometry."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mnist_core.data.arrays import require_content
from mnist_core.data.dataset import DIGITS, Dataset
from mnist_core.data.idx import read_idx
from mnist_core.data.lookalikes import published_warning
from mnist_core.errors import DataError
from mnist_core.lazy import LazyModule

if TYPE_CHECKING:
    import torch
else:
    torch = LazyModule("torch")

_PARTS = ("train-images", "train-labels", "t10k-images", "t10k-labels")


@dataclass(frozen=True)
class _Published:
    """A dataset in four files of MNIST's names: its title, its folder in the data folder, and its classes by label."""

    title: str
    folder: str
    classes: tuple[str, ...]

    @property
    def remedy(self) -> str:
        return f"delete it and download {self.title} again"


# folders and classes as torchvision has them
_PUBLISHED = {
    "mnist": _Published("MNIST", "MNIST/raw", DIGITS),
    "fashion-mnist": _Published(
        "Fashion-MNIST",
        "FashionMNIST/raw",
        (
            *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
            *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        ),
    ),
    "kmnist": _Published("KMNIST", "KMNIST/raw", ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")),
}


def mnist_available(data_dir: Path | str, name: str = "mnist") -> bool:
    """Whether all four files of a dataset are in `data_dir`, plain or .gz; their contents are checked on loading."""
    return None not in _files(Path(data_dir), name)


def _files(data_dir: Path, name: str) -> list[Path | None]:
    """The file of each part under one of its names: as published, as 7-Zip unpacks it, or still packed."""
    raw = data_dir / _PUBLISHED[name].folder
    found = []
    for part in _PARTS:
        kind = "idx3-ubyte" if part.endswith("images") else "idx1-ubyte"
        names = (f"{part}{mark}{kind}{packed}" for packed in ("", ".gz") for mark in ("-", "."))
        found.append(next((raw / file for file in names if (raw / file).is_file()), None))
    return found


def load_mnist(data_dir: Path, name: str = "mnist") -> Dataset:
    """`mnist`, `fashion-mnist` or `kmnist` from torchvision's layout in `data_dir`.

    Its `warning` says so where the files of `mnist` or `fashion-mnist` hold anything else.

    Raises DataError when files are missing or damaged, or hold no grey images of 28×28 px with labels of 0 to 9.
    """
    published = _PUBLISHED[name]
    files = [path for path in _files(data_dir, name) if path is not None]
    if len(files) < len(_PARTS):
        which = "" if name == "mnist" else f" {name}"
        raise DataError(
            f"{published.title} is not in {data_dir}. Download it on the Train page or with "
            f"`python -m mnist_core download{which}`, set MNIST_LAB_DATA to a folder that has it, or use the built-in "
            "dataset 'digits'."
        )
    arrays = [read_idx(path, published.remedy) for path in files]
    for at in (0, 2):
        _check(files[at], arrays[at], files[at + 1], arrays[at + 1], published.remedy)
    tensors = [torch.from_numpy(values) for values in arrays]
    return Dataset(
        name,
        published.classes,
        tensors[0].unsqueeze(1),
        tensors[1].long(),
        tensors[2].unsqueeze(1),
        tensors[3].long(),
        warning=published_warning(name, arrays),
    )


def _check(images_path: Path, images: np.ndarray, labels_path: Path, labels: np.ndarray, remedy: str) -> None:
    if images.dtype != np.uint8 or images.shape[1:] != (28, 28) or not len(images):
        raise DataError(
            f"{images_path} cannot be used, as it does not hold images of 28×28 bytes: {remedy}, "
            "or use `idx:FOLDER` for other images."
        )
    if labels.dtype != np.uint8 or labels.shape != (len(images),):
        raise DataError(
            f"{labels_path} does not have a label for each of the {len(images):,} images in {images_path.name}: "
            f"{remedy}."
        )
    if int(labels.max()) > 9:
        raise DataError(f"{labels_path} holds labels above 9: {remedy}, or use `idx:FOLDER` for other labels.")
    require_content(images, str(images_path))


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
