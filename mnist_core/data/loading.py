"""load_dataset(name, data_dir) → Dataset, by the dataset's name; the last few are kept in memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path

import numpy as np
import torch

from mnist_core.data.archive import stamp
from mnist_core.data.cifar10 import cifar10_available, load_cifar10
from mnist_core.data.dataset import OWN_KINDS, Dataset
from mnist_core.data.image_folder import load_pictures
from mnist_core.data.mnist import _load_digits, _load_mnist, mnist_available
from mnist_core.data.pen_digits import load_drawings
from mnist_core.errors import DataError
from mnist_core.system.progress import Progress
from mnist_core.system.settings import data_folder

KEPT_IN_MEMORY = 3


def is_available(name: str, data_dir: Path | str) -> bool:
    """Whether the dataset can be loaded without a download."""
    return {"mnist": mnist_available, "cifar10": cifar10_available}.get(name, lambda _: True)(data_dir)


def default_dataset(data_dir: Path | str) -> str:
    """`mnist` where it is there, else the built-in `digits`."""
    return "mnist" if mnist_available(data_dir) else "digits"


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
        own = resolve_path(kind, path)
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


def resolve_path(kind: str, text: str) -> Path:
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
    tensor = torch.from_numpy
    return Dataset(
        name, classes, tensor(images[~test]), tensor(labels[~test]), tensor(images[test]), tensor(labels[test])
    )


def _load_cifar10(data_dir: Path) -> Dataset:
    return _divided("cifar10", *load_cifar10(data_dir))


_LOADERS = {"mnist": _load_mnist, "digits": _load_digits, "cifar10": _load_cifar10}
_OWN_LOADERS = {"folder": load_pictures, "drawings": load_drawings}
DATASETS = tuple(_LOADERS)
