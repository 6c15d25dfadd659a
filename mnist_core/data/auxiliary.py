"""Auxiliary training images, never used for validation or test: drawings in pen strokes, and non-digits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mnist_core.config import TrainConfig
from mnist_core.data.classes import MAPPING, match_classes
from mnist_core.data.dataset import NO_CLASS, Dataset
from mnist_core.data.loading import resolve_path
from mnist_core.data.outliers import non_digits
from mnist_core.data.pen_digits import load_copies
from mnist_core.data.splits import train_and_validation
from mnist_core.errors import DataError
from mnist_core.system.progress import Progress

TRAINING_KINDS = ("print", "scribbles", "several digits", "filled")
"""Kinds of non-digits to train on. Handwritten letters are kept for judging how a model generalises to other kinds."""
SEED_OFFSET = 100_000  # so that the images differ from those on which the benchmarks judge


def with_extra(data: Dataset, config: TrainConfig, progress: Progress | None = None) -> Dataset:
    """The arranged dataset with auxiliary images after its own training images: the drawings in `config.extra`, and
    `config.non_digits` non-digits with the label NO_CLASS.

    Raises DataError when `extra` is not `drawings:PATH`, cannot be read, or differs from `data` in classes or size, and
    when non-digits are asked for beside images of another size than 1×28×28.
    """
    added = [found for found in (_drawings(data, config, progress), _non_digits(data, config)) if found is not None]
    if not added:
        return data
    images, labels = zip((data.train_images, data.train_labels), *added, strict=True)
    return replace(
        data,
        train_images=np.concatenate(images),
        train_labels=np.concatenate(labels),
        extra=data.extra + sum(len(found) for found in labels[1:]),
    )


def _drawings(data: Dataset, config: TrainConfig, progress: Progress | None) -> tuple[np.ndarray, np.ndarray] | None:
    if not config.extra:
        return None
    kind, _, path = config.extra.partition(":")
    if kind != "drawings":
        raise DataError(f"Further images come from pen strokes, `drawings:PATH`, not from '{config.extra}'.")
    classes, images, labels = load_copies(
        resolve_path(kind, path), config.extra_copies, config.seed, progress, config.extra_invented
    )
    if images.shape[1:] != data.train_images.shape[1:]:
        raise DataError(
            f"The drawings of '{config.extra}' have 1×28×28 pixels, which {data.title} has not: choose a dataset that "
            "has them."
        )
    order = match_classes(data.classes, classes, config.classes, whose=f"'{config.extra}'", how=MAPPING)
    return images, np.array(order)[labels]


def _non_digits(data: Dataset, config: TrainConfig) -> tuple[np.ndarray, np.ndarray] | None:
    """Equally many of each kind; "several digits" are composed of training images, not of validation images."""
    if not config.non_digits:
        return None
    if data.train_images.shape[1:] != (1, 28, 28):
        raise DataError(f"Non-digits are drawn as 1×28×28 pixels, which {data.title} has not: set non_digits to 0.")
    digits = data.train_images[train_and_validation(data, config)[0]]
    counts = [len(range(place, config.non_digits, len(TRAINING_KINDS))) for place in range(len(TRAINING_KINDS))]
    pictures = [
        non_digits(kind, count, SEED_OFFSET + config.seed, digits)
        for kind, count in zip(TRAINING_KINDS, counts, strict=True)
        if count
    ]
    return np.concatenate(pictures), np.full(config.non_digits, NO_CLASS)
