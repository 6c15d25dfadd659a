"""with_extra(data, config) → the dataset with further images to learn from, drawn from other people's pen strokes."""

from __future__ import annotations

from dataclasses import replace

import torch

from mnist_core.config import TrainConfig
from mnist_core.data import Dataset, Progress, own_path
from mnist_core.errors import DataError
from mnist_core.pen_strokes import load_copies


def with_extra(data: Dataset, config: TrainConfig, progress: Progress | None = None) -> Dataset:
    """The arranged dataset, with the drawings that `config.extra` names behind its own training images.

    Raises DataError when `extra` is no `drawings:PATH`, cannot be read, or has other classes or sizes than `data`.
    """
    if not config.extra:
        return data
    kind, _, path = config.extra.partition(":")
    if kind != "drawings":
        raise DataError(f"Further images come from pen strokes, `drawings:PATH`, not from '{config.extra}'.")
    classes, images, labels = load_copies(own_path(kind, path), config.extra_copies, config.seed, progress)
    if classes != data.classes or images.shape[1:] != data.train_images.shape[1:]:
        raise DataError(
            f"The drawings of '{config.extra}' have the classes {', '.join(classes[:12])} and 1×28×28 pixels, which "
            f"are not those of {data.title}: choose a dataset that has them."
        )
    return replace(
        data,
        train_images=torch.cat([data.train_images, torch.from_numpy(images)]),
        train_labels=torch.cat([data.train_labels, torch.from_numpy(labels)]),
        extra=len(labels),
    )
