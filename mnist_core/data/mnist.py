"""MNIST and those of its form (Fashion-MNIST, KMNIST, EMNIST, QMNIST) in IDX files, and scikit-learn's `digits`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mnist_core.data import emnist
from mnist_core.data.arrays import require_content
from mnist_core.data.dataset import DIGITS, Dataset
from mnist_core.data.geometry import PART, enlarged, in_mnists_geometry
from mnist_core.data.idx import read_idx
from mnist_core.data.lookalikes import orientation, published_warning
from mnist_core.errors import DataError

_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


@dataclass(frozen=True)
class _Published:
    """A dataset in four files of MNIST's form: its title, its folder in the data folder, and its classes by label.

    `first` is the label of the first class. Where `transposed`, the files have rows and columns exchanged, and their
    characters another size than MNIST's.
    """

    title: str
    folder: str
    classes: tuple[str, ...]
    files: tuple[str, str, str, str] = _FILES
    first: int = 0
    transposed: bool = False

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
    "qmnist": _Published(
        "QMNIST",
        "QMNIST/raw",
        DIGITS,
        (
            "qmnist-train-images-idx3-ubyte",
            "qmnist-train-labels-idx2-int",
            "qmnist-test-images-idx3-ubyte",
            "qmnist-test-labels-idx2-int",
        ),
    ),
    **{
        f"emnist:{part}": _Published(
            f"EMNIST {part}", "EMNIST/raw", classes, emnist.file_names(part), emnist.first_label(part), transposed=True
        )
        for part, classes in emnist.PARTS.items()
    },
}
IN_IDX = tuple(_PUBLISHED)  # the datasets that `load_mnist` reads


def mnist_available(data_dir: Path | str, name: str = "mnist") -> bool:
    """Whether all four files of a dataset are in `data_dir`, plain or .gz; their contents are checked on loading."""
    return None not in _files(Path(data_dir), name)


def _files(data_dir: Path, name: str) -> list[Path | None]:
    """The four files, each under one of its names: as published, as 7-Zip unpacks it, or still packed.

    EMNIST's archive has them in a folder `gzip`, where others than torchvision leave them.
    """
    raw = data_dir / _PUBLISHED[name].folder
    found = []
    for file in _PUBLISHED[name].files:
        names = [f"{plain}{packed}" for packed in ("", ".gz") for plain in (file, file.replace("-idx", ".idx"))]
        paths = [raw / within / other for within in ("", "gzip") for other in names]
        found.append(next((path for path in paths if path.is_file()), None))
    return found


def load_mnist(data_dir: Path, name: str = "mnist") -> Dataset:
    """One of IN_IDX from torchvision's layout in `data_dir`; EMNIST upright and in MNIST's geometry.

    Its `warning` says so where the files plainly hold anything else.

    Raises DataError when files are missing or damaged, or hold no grey images of 28×28 px with labels of its classes.
    """
    published = _PUBLISHED[name]
    files = [path for path in _files(data_dir, name) if path is not None]
    if len(files) < len(published.files):
        which = "" if name == "mnist" else f" {name}"
        raise DataError(
            f"{published.title} is not in {data_dir}. Download it on the Train page or with "
            f"`python -m mnist_core download{which}`, set MNIST_LAB_DATA to a folder that has it, or use the built-in "
            "dataset 'digits'."
        )
    arrays = [read_idx(path, published.remedy) for path in files]
    for at in (0, 2):
        if arrays[at + 1].ndim == 2:  # QMNIST: the class, and where the image is from
            arrays[at + 1] = arrays[at + 1][:, 0]
        _check(files[at], arrays[at], files[at + 1], arrays[at + 1], published)
    warning = published_warning(name, arrays, files)
    train, test = arrays[0][:, None], arrays[2][:, None]
    if published.transposed:
        for images in (train, test):
            for start in range(0, len(images), PART):  # in place: EMNIST by class has 640 MB
                part = images[start : start + PART]
                part[:] = in_mnists_geometry(part.transpose(0, 1, 3, 2))
        warning = warning or orientation(train, arrays[1])
    labels = [values.astype(np.int64) - published.first for values in (arrays[1], arrays[3])]
    return Dataset(name, published.classes, train, labels[0], test, labels[1], warning=warning)


def _check(images_path: Path, images: np.ndarray, labels_path: Path, labels: np.ndarray, published: _Published) -> None:
    remedy = published.remedy
    if images.dtype != np.uint8 or images.shape[1:] != (28, 28) or not len(images):
        raise DataError(
            f"{images_path} cannot be used, as it does not hold images of 28×28 bytes: {remedy}, "
            "or use `idx:FOLDER` for other images."
        )
    if labels.dtype.kind not in "iu" or labels.shape != (len(images),):
        raise DataError(
            f"{labels_path} does not have a label for each of the {len(images):,} images in {images_path.name}: "
            f"{remedy}."
        )
    first, last = published.first, published.first + len(published.classes) - 1
    if int(labels.max()) > last or int(labels.min()) < first:
        which = f"above {last}" if int(labels.max()) > last else f"below {first}"
        raise DataError(f"{labels_path} holds labels {which}: {remedy}, or use `idx:FOLDER` for other labels.")
    require_content(images, str(images_path))


def load_digits(_data_dir: Path) -> Dataset:
    """scikit-learn's 8×8 digits resized to MNIST's geometry (20 px inside 28), so that models read drawings as well.

    The set has no official test part: one fifth, stratified with a fixed seed, is held out.
    """
    from sklearn import datasets
    from sklearn.model_selection import train_test_split

    images, labels = datasets.load_digits(return_X_y=True)
    pictures = enlarged(images.reshape(-1, 1, 8, 8) * (255 / 16))
    train, test = train_test_split(np.arange(len(labels)), test_size=0.2, stratify=labels, random_state=0)
    targets = labels.astype(np.int64)
    return Dataset("digits", DIGITS, pictures[train], targets[train], pictures[test], targets[test])
