"""Metrics of a model on labelled images: loss, accuracy, F1, confusion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import log_softmax, softmax

from mnist_core.inference.interval import wilson_interval
from mnist_core.system.progress import Progress


@dataclass(frozen=True)
class ClassMetrics:
    """One class: precision, recall and F1 in [0, 1]; `support` is the number of images of the class."""

    label: int
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A model's predictions for N labelled images.

    `probabilities` (N, K) float32 and `labels` (N,) int64; `confusion` (K, K) int64 counts, a row per true class and a
    column per predicted one; `loss` is the mean cross-entropy in nats; `accuracy` and `weighted_f1` are in [0, 1].
    """

    probabilities: np.ndarray
    labels: np.ndarray
    loss: float
    accuracy: float
    weighted_f1: float
    per_class: list[ClassMetrics]
    confusion: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        """(N,) int64: the most probable class of each image."""
        best: np.ndarray = self.probabilities.argmax(axis=1)
        return best

    @property
    def confidence(self) -> np.ndarray:
        """(N,) float32: the probability of the predicted class."""
        highest: np.ndarray = self.probabilities.max(axis=1)
        return highest

    @property
    def right(self) -> np.ndarray:
        """(N,) bool: which predictions are right."""
        hits: np.ndarray = self.predicted == self.labels
        return hits

    @property
    def accuracy_interval(self) -> tuple[float, float]:
        """The 95 % interval of the accuracy, by `wilson_interval`."""
        return wilson_interval(int(self.right.sum()), len(self.labels))

    def mistakes(self) -> np.ndarray:
        """(M,) indices of the misclassified images, the most confident first."""
        wrong = np.flatnonzero(self.predicted != self.labels)
        return wrong[np.argsort(-self.confidence[wrong], kind="stable")]

    def cell(self, true: int, predicted: int) -> np.ndarray:
        """(M,) indices of the images of class `true` predicted as `predicted`, the most confident first."""
        hits = np.flatnonzero((self.labels == true) & (self.predicted == predicted))
        return hits[np.argsort(-self.confidence[hits], kind="stable")]


class Infers(Protocol):
    """What gives logits for images: a `Network`, or a `Classifier` of torch."""

    def infer(self, images: np.ndarray, progress: Progress | None = None) -> np.ndarray: ...


def evaluate(network: Infers, images: np.ndarray, labels: np.ndarray, progress: Progress | None = None) -> Evaluation:
    """The network's predictions for (N, C, H, W) uint8 `images` with (N,) int64 `labels`, judged by `summarize`."""
    return summarize(network.infer(images, progress), labels)


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    """(N, K) logits and (N,) labels → the mean cross-entropy in nats."""
    logs = log_softmax(np.asarray(logits, np.float64), axis=1)
    return float(-logs[np.arange(len(labels)), labels].mean())


def summarize(logits: np.ndarray, labels: np.ndarray) -> Evaluation:
    """(N, K) logits and (N,) int64 labels → Evaluation, by scikit-learn. A class never predicted has precision 0."""
    from sklearn.metrics import confusion_matrix, f1_score, precision_recall_fscore_support

    predicted = logits.argmax(axis=1)
    classes = np.arange(logits.shape[1])
    rows = precision_recall_fscore_support(labels, predicted, labels=classes, zero_division=0)
    return Evaluation(
        probabilities=softmax(logits, axis=1),
        labels=labels,
        loss=cross_entropy(logits, labels),
        accuracy=float((labels == predicted).mean()),
        weighted_f1=float(f1_score(labels, predicted, labels=classes, average="weighted", zero_division=0)),
        per_class=[
            ClassMetrics(int(label), float(precision), float(recall), float(f1), int(support))
            for label, precision, recall, f1, support in zip(classes, *rows, strict=True)
        ],
        confusion=confusion_matrix(labels, predicted, labels=classes),
    )
