"""What is refused before a training begins, as nothing could be learned from it."""

from __future__ import annotations

import numpy as np
from torch.nn.modules.batchnorm import _BatchNorm

from mnist_core.config import TrainConfig
from mnist_core.data.arrays import all_equal
from mnist_core.errors import ConfigError, DataError
from mnist_core.models.classifier import Classifier


def check_data(images: np.ndarray, labels: np.ndarray) -> None:
    """(N, C, H, W) uint8 and (N,) int64 training images and labels, of which something can be learned.

    Raises DataError when all labels, or all images, are the same.
    """
    if len(labels) and bool((labels == labels[0]).all()):
        raise DataError("All training images have the same label: there is nothing to tell apart.")
    if all_equal(images):
        raise DataError("All training images are the same, pixel by pixel: there is nothing to learn from.")


def check_batches(config: TrainConfig, model: Classifier, images: int) -> None:
    """Raises ConfigError when `model` has batch norm and its batches of the `images` would have one image each."""
    one = min(config.batch_size, images) == 1
    if one and any(isinstance(module, _BatchNorm) for module in model.modules()):
        raise ConfigError(
            "Batch norm compares the images of a batch, and each batch would have one image: "
            "choose a batch size of 2 or more, or switch batch norm off."
        )
