"""Splits into training, validation and test images: stratified, and determined by a seed."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mnist_core.config import TrainConfig
from mnist_core.data.dataset import Dataset
from mnist_core.data.draws import drawn_share
from mnist_core.errors import DataError

MAX_CLASSES = 100


def natural_sort_key(text: object) -> tuple[list[int | str], str]:
    """A sort key for natural order: 2 before 10, capitals beside small letters."""
    pieces = re.split(r"(\d+)", str(text).casefold(), flags=re.ASCII)
    return [int(piece) if number % 2 else piece for number, piece in enumerate(pieces)], str(text)


def held_out(classes: Sequence[str], labels: np.ndarray, given: np.ndarray | None) -> np.ndarray:
    """(N,) int64 labels, (N,) bool `given` or None → (N,) bool, True for test images.

    `given` test images are kept; without any, one fifth of each class is held out with a fixed seed. Raises DataError
    for fewer than 2 or more than 100 classes, and for a class with too few images to train, validate and test.
    """
    if len(classes) < 2:
        found = f"only the class '{classes[0]}'" if classes else "no class"
        raise DataError(f"There is {found}: at least 2 classes are needed to tell apart.")
    if len(classes) > MAX_CLASSES:
        raise DataError(f"There are {len(classes):,} classes, over the limit of {MAX_CLASSES}.")
    if given is None:
        _require_images(classes, labels, 5, "", "one fifth of each class is held out as test images")
        return _one_fifth(labels)
    # two, so that one can be held out for validation
    _require_images(classes, labels[~given], 2, "training ", "one is to learn from, one to watch the training by")
    _require_images(classes, labels[given], 1, "test ", "each class is judged on its test images")
    return given


def _require_images(classes: Sequence[str], labels: np.ndarray, least: int, part: str, why: str) -> None:
    counts = np.bincount(labels, minlength=len(classes)).tolist()
    for name, count in zip(classes, counts, strict=True):
        if count < least:
            raise DataError(
                f"The class '{name}' has {count or 'no'} {part}image{'s' * (count != 1)}, "
                f"and at least {least} {'is' if least == 1 else 'are'} needed: {why}."
            )


def _one_fifth(labels: np.ndarray) -> np.ndarray:
    from sklearn.model_selection import train_test_split

    _, rows = train_test_split(np.arange(len(labels)), test_size=0.2, stratify=labels, random_state=0)
    return np.isin(np.arange(len(labels)), rows)


def arrange(data: Dataset, config: TrainConfig) -> Dataset:
    """The dataset with the test part that `config` asks for: its own, or one drawn from all images pooled.

    Training and evaluation must use its result: after a pooled split, the official test part holds images that the
    model was trained on. Raises DataError when a class has too few images.
    """
    if config.split == "official":
        return data
    return _pooled(data, config.test_fraction, config.seed)


@functools.lru_cache(maxsize=2)
def _pooled(data: Dataset, test_fraction: float, seed: int) -> Dataset:
    images = np.concatenate([data.train_images, data.test_images])
    labels = np.concatenate([data.train_labels, data.test_labels])
    rest, test = split(labels, test_fraction, seed)
    return replace(
        data, train_images=images[rest], train_labels=labels[rest], test_images=images[test], test_labels=labels[test]
    )


def train_and_validation(data: Dataset, config: TrainConfig) -> tuple[np.ndarray, np.ndarray]:
    """(training indices, validation indices) into the training images of an arranged dataset. Raises DataError.

    `config.train_share` applies to the dataset's own images. Auxiliary images are all there, and validation is that of
    a training on all images.
    """
    fraction = config.validation_fraction
    if config.split == "pooled":  # the setting is a share of all images, the test part included
        fraction = min(fraction / (1 - config.test_fraction), 0.9)
    own = len(data.train_labels) - data.extra
    if data.validation:
        train, validation = np.arange(own - data.validation), np.arange(own - data.validation, own)
    else:
        train, validation = split(data.train_labels[:own], fraction, config.seed)
        train = drawn_share(train, data.train_labels, config.train_share, config.seed)
    return np.concatenate([train, np.arange(own, own + data.extra)]), validation


def split(labels: np.ndarray, validation_fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(N,) int64 labels → (training indices, validation indices), stratified by label, determined by `seed`.

    Raises DataError when a class has too few images to be in both parts.
    """
    from sklearn.model_selection import train_test_split

    # at least one image of each class, even of a small share
    held_out = max(math.ceil(len(labels) * validation_fraction), len(np.unique(labels)))
    try:
        train, validation = train_test_split(
            np.arange(len(labels)), test_size=held_out, stratify=labels, random_state=seed
        )
    except ValueError as error:
        raise DataError(f"The training images cannot be split into training and validation: {error}") from None
    return np.sort(train), np.sort(validation)
