"""The images of a dataset as a model's preparation asks for them: see drawing/preparation.py."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mnist_core.config import Shape
from mnist_core.data.dataset import Dataset
from mnist_core.drawing.preparation import looks_drawn, prepare
from mnist_core.errors import DataError
from mnist_core.system.threads import map_in_threads

SAMPLE = 200  # images that the choice of a preparation looks at
BUILT_IN = {
    "mnist": "drawing",
    "digits": "drawing",
    "drawings": "drawing",
    "cifar10": "whole",
    "fashion-mnist": "whole",
    "kmnist": "whole",
    "qmnist": "drawing",
    "emnist": "drawing",
    "usps": "drawing",
}
GEOMETRY = ("mnist", "digits", "drawings", "qmnist", "emnist", "usps")  # whose images are stored as prepared drawings
SIDE = 28  # px of a prepared drawing


def sample(items: Sequence[int]) -> Sequence[int]:
    """At most SAMPLE of `items`, evenly spread."""
    return items[:: -(-len(items) // SAMPLE)]


def prepared(data: Dataset, preparation: str, shape: Shape | None = None) -> Dataset:
    """A dataset of stored images, prepared: "auto" decides by its images, "unrecorded" leaves them as they are.

    Images in MNIST's geometry are left as they are; others become drawings of 1×28×28 px, or are fitted as a whole to
    the channels, height and width of `shape`. Raises DataError for colour images as drawings.
    """
    kind = data.name.partition(":")[0]
    if (
        kind in ("mnist", "qmnist", "emnist") and data.warning
    ):  # other images in MNIST's files: nothing is known of their geometry
        kind = ""
    if preparation == "auto":
        preparation = BUILT_IN.get(kind) or choose(data)
    if preparation == "unrecorded":
        return replace(data, preparation=preparation)
    channels, height, width = data.train_images.shape[1:]
    if preparation == "drawing" and channels != 1:
        raise DataError(f"{data.title} has colour images, which are no drawings: choose the preparation 'whole'.")
    if kind in GEOMETRY or (preparation == "whole" and kind in BUILT_IN):
        return replace(data, preparation=preparation)
    wanted = (1, SIDE, SIDE) if preparation == "drawing" else (channels, height, width)
    if shape is not None:
        wanted = (shape.channels, shape.height, shape.width)
    if preparation == "whole" and wanted == (channels, height, width):
        return replace(data, preparation=preparation)
    train, test = (_all(images, preparation, wanted) for images in (data.train_images, data.test_images))
    return replace(data, train_images=train, test_images=test, preparation=preparation)


def choose(data: Dataset) -> str:
    """The preparation that the training images suggest."""
    if data.train_images.shape[1] != 1:
        return "whole"
    images = data.train_images[list(sample(range(len(data.train_images)))), 0]
    return "drawing" if looks_drawn(images) else "whole"


def _all(images: np.ndarray, kind: str, wanted: tuple[int, int, int]) -> np.ndarray:
    """(N, C, H, W) uint8 → (N, *wanted) uint8. A blank image stays blank: all of it is black."""

    def one(number: int) -> np.ndarray:
        row = images[number]
        image = prepare(row[0] if len(row) == 1 else row.transpose(1, 2, 0), kind, *wanted)
        return as_input(image, wanted)

    return np.stack(map_in_threads(one, range(len(images)), min(4, os.cpu_count() or 1)))


def as_input(image: np.ndarray | None, wanted: tuple[int, int, int]) -> np.ndarray:
    """A prepared (H, W) or (H, W, 3) image, or None for a blank one → (C, H, W) uint8."""
    if image is None:
        return np.zeros(wanted, np.uint8)
    return image[None] if image.ndim == 2 else image.transpose(2, 0, 1)
