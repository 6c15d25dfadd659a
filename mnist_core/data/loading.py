"""The loader of datasets by their names, with a cache of the last few."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import partial
from pathlib import Path

import numpy as np

from mnist_core.config import Shape
from mnist_core.data.archive import stamp
from mnist_core.data.arrays import Loaded
from mnist_core.data.cifar10 import cifar10_available, load_cifar10
from mnist_core.data.csv_table import load_csv
from mnist_core.data.dataset import CUSTOM_KINDS, Dataset
from mnist_core.data.idx import load_idx
from mnist_core.data.image_folder import load_pictures
from mnist_core.data.kinds import right_name, wrong_kind
from mnist_core.data.mnist import IN_IDX, load_digits, load_mnist, mnist_available
from mnist_core.data.npz import load_npz
from mnist_core.data.parquet import load_parquet
from mnist_core.data.pen_digits import load_drawings
from mnist_core.data.picture_files import Options, split_options
from mnist_core.data.prepared import prepared
from mnist_core.data.usps import load_usps, usps_available
from mnist_core.errors import DataError
from mnist_core.system.progress import Progress
from mnist_core.system.settings import data_folder

CACHE_SIZE = 6  # datasets; those that differ in their preparation alone share their images


def is_available(name: str, data_dir: Path | str) -> bool:
    """Whether the dataset can be loaded without a download."""
    if name in IN_IDX:
        return mnist_available(data_dir, name)
    others = {"cifar10": cifar10_available, "usps": usps_available}
    return others[name](data_dir) if name in others else True


def default_dataset(data_dir: Path | str) -> str:
    """`mnist` where its files are there, else the built-in `digits`."""
    return "mnist" if mnist_available(data_dir) else "digits"


def load_dataset(
    name: str,
    data_dir: Path | str | None = None,
    progress: Progress | None = None,
    preparation: str = "auto",
    shape: Shape | None = None,
) -> Dataset:
    """The dataset called `name`, from `data_dir` (default: `data_folder()`): one of DATASETS, or KIND:PATH with a KIND
    of CUSTOM_KINDS.

    The last few are kept in memory; those of a PATH, relative to the working directory, are read anew when their files
    have changed. `progress` is called where reading takes time. `preparation` and `shape` are those of the model that
    is to read the images (see data/prepared.py); without them, a person's own dataset is prepared as its pictures
    suggest, in a size of its own.

    Raises DataError when the name is unknown, files are missing or damaged, or images cannot be prepared like that.
    """
    data_dir = Path(data_dir if data_dir is not None else data_folder()).resolve()
    kind, _, path = name.partition(":")
    if kind in CUSTOM_KINDS:
        text, options = own_options(kind, path)
        own = resolve_path(kind, text)
        state = stamp(own)

        def pictures() -> Loaded:
            return load_pictures(own, progress, preparation, shape, options)

        if kind == "folder":  # prepared from the pictures' own pixels, before they have one size
            read = _cached(
                (name, own, preparation, shape), state, lambda: _from_arrays(name, *_load_own(kind, own, pictures))
            )
            # what "auto" has chosen is not read again when it is asked for by its name
            return _cached((name, own, read.preparation, shape), state, lambda: read)
        stored = _cached(
            (name, own),
            state,
            lambda: _from_arrays(name, *_load_own(kind, own, lambda: _CUSTOM_LOADERS[kind](own, progress))),
        )
        return _cached((name, own, preparation, shape), state, lambda: prepared(stored, preparation, shape))
    if name not in _LOADERS:
        own_names = ", ".join(f"{kind}:PATH" for kind in CUSTOM_KINDS)
        if said := right_name(name):
            raise DataError(f"There is no dataset '{name[:100]}'. {said}")
        raise DataError(f"There is no dataset '{name[:100]}'; there are: {', '.join(_LOADERS)}, {own_names}.")
    built_in = _cached((name, data_dir), None, lambda: _LOADERS[name](data_dir))
    return _cached((name, data_dir, preparation), None, lambda: prepared(built_in, preparation))


_cache: OrderedDict[Hashable, tuple[Hashable, Dataset]] = OrderedDict()


def _cached(key: Hashable, state: Hashable, load: Callable[[], Dataset]) -> Dataset:
    """The last result of `load` for `key` as long as `state` is the same; the least recently used are dropped."""
    found = _cache.pop(key, None)
    if found is None or found[0] != state:
        found = state, load()
    _cache[key] = found
    while len(_cache) > CACHE_SIZE:
        _cache.popitem(last=False)
    return found[1]


def resolve_path(kind: str, text: str) -> Path:
    """The path behind the colon of a dataset's name. Raises DataError where there is no file or folder."""
    if not text.strip():
        raise DataError(f"'{kind}:' needs a path behind the colon.")
    try:
        path = Path(text).expanduser().resolve()
        there = path.is_file() or path.is_dir()  # opening a pipe or a device might block for ever
    except (OSError, ValueError, RuntimeError):  # no such home, a link in a circle, a name no file can have
        there = False
    if not there:
        raise DataError(f"There is nothing at '{text[:200]}': check the path.")
    return path


def own_options(kind: str, text: str) -> tuple[str, Options]:
    """What stands behind the colon → the path, and the options behind its `#` where a folder of pictures has some."""
    return split_options(text) if kind == "folder" else (text, Options())


def _load_own(kind: str, path: Path, load: Callable[[], Loaded]) -> Loaded:
    try:
        return load()
    except DataError:
        if said := wrong_kind(kind, path):  # looked at only now, so that it can never refuse what can be read
            raise DataError(said) from None
        raise


def _from_arrays(
    name: str,
    classes: tuple[str, ...],
    images: np.ndarray,
    labels: np.ndarray,
    test: np.ndarray,
    warning: str = "",
    preparation: str = "unrecorded",
) -> Dataset:
    """All images (N, C, H, W) with labels (N,), and (N,) bool: which of them are test images → Dataset."""
    parts = images[~test], labels[~test], images[test], labels[test]
    return Dataset(name, classes, *parts, preparation=preparation, warning=warning)


def _load_cifar10(data_dir: Path) -> Dataset:
    return _from_arrays("cifar10", *load_cifar10(data_dir))


_LOADERS: dict[str, Callable[[Path], Dataset]] = {
    "mnist": load_mnist,
    "digits": load_digits,
    "cifar10": _load_cifar10,
    **{name: partial(load_mnist, name=name) for name in IN_IDX if name != "mnist"},
    "usps": load_usps,
}
_CUSTOM_LOADERS: dict[str, Callable[[Path, Progress | None], Loaded]] = {
    "drawings": load_drawings,
    "idx": load_idx,
    "csv": load_csv,
    "npz": load_npz,
    "parquet": load_parquet,
}
DATASETS = tuple(_LOADERS)
