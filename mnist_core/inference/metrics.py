"""Metrics of a model on labelled images: loss, accuracy, F1, confusion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mnist_core.data.dataset import to_unit
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


def infer(model: nn.Module, images: Tensor, progress: Progress | None = None) -> Tensor:
    """(N, C, H, W) uint8 → (N, K) float32 logits on the CPU, computed in evaluation mode."""
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    logits, done = [], 0
    try:
        with torch.inference_mode():
            for chunk in images.split(500):
                logits.append(model(to_unit(chunk.to(device))).float().cpu())
                done += len(chunk)
                if progress:
                    progress(done / len(images))
    finally:
        model.train(was_training)
    return torch.cat(logits)


def loss_and_accuracy(logits: Tensor, labels: Tensor) -> tuple[float, float]:
    """(N, K) logits and (N,) labels → mean cross-entropy in nats, and accuracy in [0, 1]."""
    labels = labels.cpu()
    return F.cross_entropy(logits, labels).item(), (logits.argmax(dim=1) == labels).sum().item() / len(labels)


def evaluate(model: nn.Module, images: Tensor, labels: Tensor, progress: Progress | None = None) -> Evaluation:
    """The model's predictions for (N, C, H, W) uint8 `images` with (N,) int64 `labels`, with scikit-learn's metrics."""
    logits = infer(model, images, progress)
    return summarize(logits, labels.cpu())


def summarize(logits: Tensor, labels: Tensor) -> Evaluation:
    """(N, K) logits and (N,) int64 labels → Evaluation. A class that is never predicted has precision 0."""
    from sklearn.metrics import confusion_matrix, f1_score, precision_recall_fscore_support

    truth, predicted = labels.numpy(), logits.argmax(dim=1).numpy()
    classes = np.arange(logits.shape[1])
    rows = precision_recall_fscore_support(truth, predicted, labels=classes, zero_division=0)
    return Evaluation(
        probabilities=logits.softmax(dim=1).numpy(),
        labels=truth,
        loss=F.cross_entropy(logits, labels).item(),
        accuracy=float((truth == predicted).mean()),
        weighted_f1=float(f1_score(truth, predicted, labels=classes, average="weighted", zero_division=0)),
        per_class=[
            ClassMetrics(int(label), float(precision), float(recall), float(f1), int(support))
            for label, precision, recall, f1, support in zip(classes, *rows, strict=True)
        ],
        confusion=confusion_matrix(truth, predicted, labels=classes),
    )
