"""Doubted labels by confident learning: which labelled images a model's out-of-sample answers contradict.

C. G. Northcutt, L. Jiang, I. L. Chuang, Confident Learning: Estimating Uncertainty in Dataset Labels, 2021,
arXiv:1911.00068; as cleanlab's `find_label_issues(filter_by="confident_learning")`, against which tests compare it.
"""

from __future__ import annotations

import numpy as np

ROUNDING = 1e-6  # of probabilities at a threshold


def doubted_labels(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """(N,) int64 labels and (N, K) probabilities → (M,) rows whose label is doubted, the most doubted first.

    The model must not have learned from these images. An image counts as confidently of class j where its probability
    is at least the mean probability of j among the images labelled j; of several such classes the most probable of all
    counts. It is doubted where that class is another than its label, and so is the model's answer. The least probable
    label comes first.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities, np.float64)
    thresholds = np.full(probabilities.shape[1], np.inf)  # a class without images has none
    for label in np.unique(labels):
        thresholds[label] = probabilities[labels == label, label].mean()
    confident = probabilities >= thresholds - ROUNDING
    best = probabilities.argmax(axis=1)
    guess = np.where(confident.sum(axis=1) > 1, best, confident.argmax(axis=1))
    own = probabilities[np.arange(len(labels)), labels]
    agrees = own >= probabilities.max(axis=1)
    counted = confident.any(axis=1) & ~agrees
    rows = np.flatnonzero(counted & (guess != labels))
    return rows[np.argsort(own[rows], kind="stable")]


def accuracy_without(right: np.ndarray, doubted: np.ndarray) -> tuple[int, int]:
    """(N,) bool answers and (M,) doubted rows → how many of the others are right, and how many others there are."""
    kept = np.ones(len(right), dtype=bool)
    kept[doubted] = False
    return int(right[kept].sum()), int(kept.sum())
