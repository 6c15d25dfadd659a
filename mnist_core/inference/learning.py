"""What a network said of the same images at several moments of its training, and when it learned each of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from mnist_core.inference.metrics import cross_entropy
from mnist_core.inference.network import Network
from mnist_core.models.checkpoint import Checkpoint

MOST_IMAGES = 2000  # that each snapshot reads: 30 snapshots of a small network then take seconds, not minutes
DIGITS = 12  # shown in every snapshot
MOST_POINTS = 600  # on a map; more hide each other, and their features take memory


@dataclass(frozen=True, eq=False)
class Answers:
    """Answers to N images: `probabilities` (N, K) float32, `loss` in nats, `features` (M, F) float16 of the first M."""

    probabilities: np.ndarray
    labels: np.ndarray
    loss: float
    features: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        """(N,) int64: the most probable class."""
        found: np.ndarray = self.probabilities.argmax(axis=1)
        return found

    @property
    def accuracy(self) -> float:
        return float((self.predicted == self.labels).mean())

    @property
    def confusion(self) -> np.ndarray:
        """(K, K) int64: a row per true class, a column per prediction."""
        classes = self.probabilities.shape[1]
        found = np.bincount(self.labels * classes + self.predicted, minlength=classes**2)
        return found.reshape(classes, classes)


@dataclass(frozen=True, eq=False)
class LearningOrder:
    """When images were learned, over T snapshots: (N,) int64 each.

    `learned` is the number of the snapshot from which on an image was read right to the end; T where it is wrong at
    the end. `forgotten` counts how often it was right in one snapshot and wrong in the next: forgetting events, as in
    M. Toneva et al., An empirical study of example forgetting during deep neural network learning, ICLR 2019
    (arXiv:1812.05159), who count them over the batches in which an image is trained on.
    """

    learned: np.ndarray
    forgotten: np.ndarray

    snapshots: int

    def last(self, most: int) -> np.ndarray:
        """Rows of the images that were learned last, the last one first; those wrong at the end are not among them."""
        return _largest(np.where(self.learned < self.snapshots, self.learned, 0), most)

    def often_forgotten(self, most: int) -> np.ndarray:
        """Rows of the images that were forgotten, the most often forgotten one first."""
        return _largest(self.forgotten, most)


def _largest(values: np.ndarray, most: int) -> np.ndarray:
    rows = np.argsort(-values, kind="stable")[:most]
    return rows[values[rows] > 0]


def learning_order(right: np.ndarray) -> LearningOrder:
    """(T, N) bool, whether each snapshot read each image right → when they were learned, and how often forgotten."""
    from_behind = np.logical_and.accumulate(right[::-1])
    return LearningOrder(len(right) - from_behind.sum(axis=0), (right[:-1] & ~right[1:]).sum(axis=0), len(right))


def sample(count: int, most: int = MOST_IMAGES) -> np.ndarray:
    """Rows of at most `most` of `count` images, the same ones every time, in a random order."""
    return np.random.default_rng(0).permutation(count)[:most]


def fixed_digits(labels: np.ndarray, count: int = DIGITS) -> np.ndarray:
    """Rows of `count` images, as many of each class as there can be, in the order of their classes."""
    ranks = np.empty(len(labels), int)
    for label in np.unique(labels):
        (rows,) = np.nonzero(labels == label)
        ranks[rows] = np.arange(len(rows))
    rows = np.lexsort((labels, ranks))[:count]
    return rows[np.argsort(labels[rows], kind="stable")]


def answers(checkpoint: Checkpoint, images: np.ndarray, labels: np.ndarray) -> Answers:
    """The network's answers to (N, C, H, W) uint8 images with (N,) int64 labels, computed with ONNX Runtime."""
    logits, features = Network(checkpoint).infer_with_features(images)
    largest = float(np.finfo(np.float16).max)
    kept = np.nan_to_num(features[:MOST_POINTS]).clip(-largest, largest)
    return Answers(softmax(logits, axis=1), labels, cross_entropy(logits, labels), kept.astype(np.float16))
