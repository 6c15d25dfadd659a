"""Calibration of a model's confidence: temperature, expected calibration error, and the threshold of rejection.

All are fitted on validation images. A temperature divides the logits, which changes the confidence and no prediction:
C. Guo, G. Pleiss, Y. Sun, K. Weinberger, On Calibration of Modern Neural Networks, 2017, arXiv:1706.04599.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from mnist_core.inference.metrics import cross_entropy
from mnist_core.inference.rejection import fit_threshold

BINS = 15  # of equal width, as in the paper
# few images, or a model without mistakes, would fit an extreme temperature
TEMPERATURES = (0.05, 20.0)


@dataclass(frozen=True, eq=False)
class Reliability:
    """Bins of confidence: `edges` (B + 1,), and (B,) each the mean confidence, accuracy and number of predictions.

    Confidence and accuracy are in [0, 1], and NaN in an empty bin.
    """

    edges: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray

    @property
    def error(self) -> float:
        """Expected calibration error in [0, 1]: |accuracy - confidence| of each bin, averaged over predictions."""
        filled = self.count > 0
        gaps = np.abs(self.accuracy[filled] - self.confidence[filled])
        return float(gaps @ self.count[filled] / self.count.sum())


def reliability(confidence: np.ndarray, correct: np.ndarray, bins: int = BINS) -> Reliability:
    """(N,) confidence in [0, 1] and (N,) bool, whether the prediction is correct → bins (low, high] of equal width.

    Raises ValueError for N = 0.
    """
    if not len(confidence):
        raise ValueError("There are no predictions.")
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.ceil(np.asarray(confidence, np.float64) * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(place, np.asarray(confidence, np.float64), bins) / count
        accuracy = np.bincount(place, np.asarray(correct, np.float64), bins) / count
    return Reliability(edges, mean, accuracy, count)


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """(N, K) validation logits and (N,) labels → the temperature with the least cross-entropy, within TEMPERATURES.

    Above 1 the model was overconfident; below 1, as after label smoothing, underconfident.
    """
    from scipy.optimize import minimize_scalar

    exact = np.asarray(logits, np.float64)

    def loss(log_temperature: float) -> float:
        return cross_entropy(exact / math.exp(log_temperature), labels)

    low, high = (math.log(end) for end in TEMPERATURES)
    return math.exp(minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-4}).x)


def confidence_at(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """(N, K) probabilities → (N,) confidence with the logits divided by a further `temperature`."""
    sharpened = (probabilities / probabilities.max(axis=1, keepdims=True)) ** (1 / temperature)
    confidence: np.ndarray = 1 / sharpened.sum(axis=1)
    return confidence


def calibrated(logits: np.ndarray, labels: np.ndarray) -> dict[str, float | str]:
    """(N, K) validation logits at temperature 1, (N,) labels → a card's `temperature`, `refuse_by`, `refuse_below`.

    N = 0 gives temperature 1 and threshold 0.
    """
    if not len(labels):
        return {"temperature": 1.0, "refuse_by": "certainty", "refuse_below": 0.0}
    temperature = round(fit_temperature(logits, labels), 4)
    threshold = fit_threshold(softmax(logits / temperature, axis=1))
    return {"temperature": temperature, "refuse_by": "certainty", "refuse_below": threshold}
