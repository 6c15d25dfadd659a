"""Dataset: labelled images as uint8 tensors in memory, train and test apart; and its mini-batches."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mnist_core.config import Shape
from mnist_core.lazy import LazyModule

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = LazyModule("torch")

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
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
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


def _sha256(images: Tensor, labels: Tensor) -> str:
    digest = hashlib.sha256(images.contiguous().numpy().data)
    digest.update(labels.contiguous().numpy().data)
    return digest.hexdigest()


def dataset_title(name: str) -> str:
    """A short title for labels; of a person's own dataset the last part of its path."""
    kind, _, path = name.partition(":")
    if kind in CUSTOM_KINDS and path:
        return Path(path).name or path
    return TITLES.get(name, name).split(" (")[0]


def batches(indices: Tensor, batch_size: int, seed: int, epoch: int) -> list[Tensor]:
    """The epoch's mini-batches of `indices`, shuffled by (seed, epoch) alone, so that a run can resume.

    A last batch of one image joins the batch before it, as batch norm needs at least two.
    """
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    order = indices[torch.randperm(len(indices), generator=generator)]
    parts = list(order.split(batch_size))
    if len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts


def to_unit(images: Tensor) -> Tensor:
    """(N, C, H, W) uint8 → float32 in [0, 1], channels last in memory, the fastest layout for CPU convolutions."""
    return images.to(torch.float32, memory_format=torch.channels_last).div_(255)
