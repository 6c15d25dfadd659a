"""load_dataset(name, data_dir) → Dataset of uint8 tensors in memory; stratified splits; batches of indices."""

from __future__ import annotations

import functools
import hashlib
import math
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mnist_core.archives import stamp
from mnist_core.cifar import cifar10_is_there, load_cifar10
from mnist_core.config import Shape, TrainConfig
from mnist_core.errors import DataError
from mnist_core.pen_strokes import load_drawings
from mnist_core.picture_folder import load_pictures
from mnist_core.system.settings import data_folder

DIGITS = tuple("0123456789")
TITLES = {
    "mnist": "MNIST (70,000 handwritten digits, 28×28)",
    "digits": "digits (1,797 small handwritten digits, built in)",
    "cifar10": "CIFAR-10 (60,000 small colour photos of 10 things, 32×32)",
}
OWN_KINDS = ("folder", "drawings")  # a person's own datasets: each name is one of these, a colon and a path
KEPT_IN_MEMORY = 3
NO_CLASS = -1  # the label of what belongs to none of the classes
Progress = Callable[[float], None]
_MNIST_FILES = {
    "train_images": ("train-images-idx3-ubyte", (60_000, 28, 28)),
    "train_labels": ("train-labels-idx1-ubyte", (60_000,)),
    "test_images": ("t10k-images-idx3-ubyte", (10_000, 28, 28)),
    "test_labels": ("t10k-labels-idx1-ubyte", (10_000,)),
}


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images (N, C, H, W) uint8 in [0, 255] and labels (N,) int64 in [0, classes), train and test apart.

    The last `extra` training images are to learn from alone: none of them is held out to watch a training by. They
    alone may have the label NO_CLASS.
    """

    name: str
    classes: tuple[str, ...]
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    extra: int = 0

    @property
    def title(self) -> str:
        return dataset_title(self.name)

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


def mnist_is_there(data_dir: Path | str) -> bool:
    """Whether all four files of MNIST lie in `data_dir` (their contents are checked when they are loaded)."""
    return all((Path(data_dir) / "MNIST" / "raw" / name).is_file() for name, _ in _MNIST_FILES.values())


def is_there(name: str, data_dir: Path | str) -> bool:
    """Whether the dataset can be loaded without a download."""
    return {"mnist": mnist_is_there, "cifar10": cifar10_is_there}.get(name, lambda _: True)(data_dir)


def default_dataset(data_dir: Path | str) -> str:
    """`mnist` where it is there, else the built-in `digits`."""
    return "mnist" if mnist_is_there(data_dir) else "digits"


def dataset_title(name: str) -> str:
    """A dataset as labels call it, in a word or two: a person's own by the last part of its path."""
    kind, _, path = name.partition(":")
    if kind in OWN_KINDS and path:
        return Path(path).name or path
    return TITLES.get(name, name).split(" (")[0]


def load_dataset(name: str, data_dir: Path | str | None = None, progress: Progress | None = None) -> Dataset:
    """The dataset called `name`, from `data_dir` (default: `data_folder()`): one of DATASETS, `folder:PATH` or
    `drawings:PATH`.

    The last few are kept in memory; a person's own are read anew when their files have changed. A PATH is relative to
    the working directory. `progress` is called with the share done, in (0, 1], where reading takes time.

    Raises DataError when the name is unknown, or files are missing or damaged.
    """
    data_dir = Path(data_dir if data_dir is not None else data_folder()).resolve()
    kind, _, path = name.partition(":")
    if kind in OWN_KINDS:
        own = own_path(kind, path)
        return _kept((name, own), stamp(own), lambda: _divided(name, *_OWN_LOADERS[kind](own, progress)))
    if name not in _LOADERS:
        own_names = ", ".join(f"{kind}:PATH" for kind in OWN_KINDS)
        raise DataError(f"There is no dataset '{name[:100]}'; there are: {', '.join(_LOADERS)}, {own_names}.")
    return _kept((name, data_dir), None, lambda: _LOADERS[name](data_dir))


_memory: OrderedDict[Hashable, tuple[Hashable, Dataset]] = OrderedDict()


def _kept(key: Hashable, state: Hashable, load: Callable[[], Dataset]) -> Dataset:
    """What `load` gave for `key` while `state` stays the same; the least recently used are forgotten."""
    found = _memory.pop(key, None)
    if found is None or found[0] != state:
        found = state, load()
    _memory[key] = found
    while len(_memory) > KEPT_IN_MEMORY:
        _memory.popitem(last=False)
    return found[1]


def own_path(kind: str, text: str) -> Path:
    """What a person named. Raises DataError when there is nothing."""
    if not text.strip():
        raise DataError(f"'{kind}:' needs a path behind the colon.")
    try:
        path = Path(text).expanduser().resolve()
        there = path.is_file() or path.is_dir()  # to open a pipe or a device might wait for ever
    except (OSError, ValueError, RuntimeError):  # no such home, a link in a circle, a name no file can have
        there = False
    if not there:
        raise DataError(f"There is nothing at '{text[:200]}': check the path.")
    return path


def _divided(name: str, classes: tuple[str, ...], images: np.ndarray, labels: np.ndarray, test: np.ndarray) -> Dataset:
    """All images (N, C, H, W) in one array, and (N,) bool which of them are test images → Dataset."""
    tensors = (torch.from_numpy(part) for part in (images[~test], labels[~test], images[test], labels[test]))
    return Dataset(name, classes, *tensors)


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


def _load_cifar10(data_dir: Path) -> Dataset:
    return _divided("cifar10", *load_cifar10(data_dir))


_LOADERS = {"mnist": _load_mnist, "digits": _load_digits, "cifar10": _load_cifar10}
_OWN_LOADERS = {"folder": load_pictures, "drawings": load_drawings}
DATASETS = tuple(_LOADERS)


def arrange(data: Dataset, config: TrainConfig) -> Dataset:
    """The dataset with the test part that `config` asks for: its own, or one drawn from all images pooled.

    Whatever trains or judges a model of `config` takes its images from here: of a pooled set, the official test part
    holds images that the model was trained on. Raises DataError when a class has too few images.
    """
    if config.split == "official":
        return data
    return _pooled(data, config.test_fraction, config.seed)


@functools.lru_cache(maxsize=2)
def _pooled(data: Dataset, test_fraction: float, seed: int) -> Dataset:
    images = torch.cat([data.train_images, data.test_images])
    labels = torch.cat([data.train_labels, data.test_labels])
    rest, test = split(labels, test_fraction, seed)
    return replace(
        data, train_images=images[rest], train_labels=labels[rest], test_images=images[test], test_labels=labels[test]
    )


def train_and_validation(data: Dataset, config: TrainConfig) -> tuple[Tensor, Tensor]:
    """(training indices, validation indices) into the training images of an arranged dataset. Raises DataError."""
    fraction = config.validation_fraction
    if config.split == "pooled":  # a share of all images, of which the test part is gone already
        fraction = min(fraction / (1 - config.test_fraction), 0.9)
    own = len(data.train_labels) - data.extra
    train, validation = split(data.train_labels[:own], fraction, config.seed)
    return torch.cat([train, torch.arange(own, own + data.extra)]), validation


def split(labels: Tensor, validation_fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """(N,) labels → (training indices, validation indices), stratified by label, the same for the same seed.

    Raises DataError when a class has too few images to be in both parts.
    """
    from sklearn.model_selection import train_test_split

    # of a small set a small share would not reach every class
    held_out = max(math.ceil(len(labels) * validation_fraction), len(labels.unique()))
    try:
        train, validation = train_test_split(
            np.arange(len(labels)), test_size=held_out, stratify=labels.numpy(), random_state=seed
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
