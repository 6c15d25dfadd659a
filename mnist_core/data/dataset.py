"""Dataset: labelled images as uint8 arrays in memory, train and test apart."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mnist_core.config import Shape

DIGITS = tuple("0123456789")
TITLES = {
    "mnist": "MNIST (70,000 handwritten digits, 28×28)",
    "digits": "digits (1,797 small handwritten digits, built in)",
    "cifar10": "CIFAR-10 (60,000 small colour photos of 10 things, 32×32)",
    "fashion-mnist": "Fashion-MNIST (70,000 pictures of 10 kinds of clothing, 28×28)",
    "kmnist": "KMNIST (70,000 handwritten Japanese characters of 10 kinds, 28×28)",
    "qmnist": "QMNIST (MNIST with its 60,000 test digits, 28×28)",
    "emnist:balanced": "EMNIST balanced (131,600 handwritten digits and letters of 47 kinds, 28×28)",
    "emnist:letters": "EMNIST letters (145,600 handwritten letters of 26 kinds, 28×28)",
    "emnist:digits": "EMNIST digits (280,000 handwritten digits, 28×28)",
    "emnist:byclass": "EMNIST by class (814,255 handwritten digits and letters of 62 kinds, 28×28)",
    "emnist:bymerge": "EMNIST by merge (814,255 handwritten digits and letters of 47 kinds, 28×28)",
    "emnist:mnist": "EMNIST MNIST (70,000 handwritten digits, 28×28)",
    "usps": "USPS (9,298 handwritten digits from envelopes, 16×16)",
}
CUSTOM_KINDS = (
    "folder",
    "drawings",
    "idx",
    "csv",
    "npz",
    "parquet",
)  # of a person's own datasets, which are named KIND:PATH
NO_CLASS = -1  # the label of images that belong to no class


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images (N, C, H, W) uint8 in [0, 255] and labels (N,) int64 in [0, classes), train and test apart.

    The last `extra` training images are auxiliary: none of them is held out for validation, and only they may have the
    label NO_CLASS. Where `validation` is not 0, the validation images are settled: the last so many before those.
    `preparation` is how the pictures became these images ("drawing" or "whole", see drawing/preparation.py),
    "unrecorded" where that is unknown.
    `warning` is a sentence about what looks wrong or was left out, empty where there is nothing to say; `sources` are
    sentences on where the images come from, for the card of a model. `earlier` is the dataset whose images are mixed in
    to be rehearsed, and whose test images say what was forgotten.
    """

    name: str
    classes: tuple[str, ...]
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    extra: int = 0
    preparation: str = "unrecorded"
    warning: str = ""
    validation: int = 0
    sources: tuple[str, ...] = ()
    earlier: Dataset | None = None

    @property
    def title(self) -> str:
        return dataset_title(self.name)

    @property
    def shape(self) -> Shape:
        _, channels, height, width = self.train_images.shape
        return Shape(channels, height, width, len(self.classes))

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the test images and labels, a cache key for what is measured on them."""
        return _sha256(self.test_images, self.test_labels)

    @functools.cached_property
    def train_fingerprint(self) -> str:
        """SHA-256 of the training images and labels."""
        return _sha256(self.train_images, self.train_labels)


def _sha256(images: np.ndarray, labels: np.ndarray) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(images).data)
    digest.update(np.ascontiguousarray(labels).data)
    return digest.hexdigest()


def dataset_title(name: str) -> str:
    """A short title for labels; of a person's own dataset the last part of its path."""
    kind, _, path = name.partition(":")
    if kind in CUSTOM_KINDS and path:
        return Path(path).name or path
    return TITLES.get(name, name).split(" (")[0]
