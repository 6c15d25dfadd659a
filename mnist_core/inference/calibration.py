"""How far a model's confidence can be believed: temperature, expected calibration error, and a threshold to refuse at.

All of it is fitted on validation images. Dividing the logits by one number changes no answer, only how sure it is:
C. Guo, G. Pleiss, Y. Sun, K. Weinberger, On Calibration of Modern Neural Networks, 2017, arXiv:1706.04599.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch.nn.functional as F
from scipy.optimize import minimize_scalar
from scipy.special import entr
from torch import Tensor

BINS = 15  # of equal width, as in the paper
REFUSED = 0.009  # of the true digits that may be refused, 1 in 100; the rest is left to their shape (rejection.py)
# a few images, or a model that errs nowhere, would ask for any temperature: confidence without end is no finding
TEMPERATURES = (0.05, 20.0)


@dataclass(frozen=True, eq=False)
class Reliability:
    """Per bin of confidence, (BINS,) each: where it begins and ends, mean confidence, accuracy, number of answers.

    An empty bin has NaN for confidence and accuracy. Shares are in [0, 1].
    """

    edges: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray

    @property
    def error(self) -> float:
        """Expected calibration error, in [0, 1]: |accuracy - confidence| of each bin, averaged over the answers."""
        filled = self.count > 0
        gaps = np.abs(self.accuracy[filled] - self.confidence[filled])
        return float(gaps @ self.count[filled] / self.count.sum())


def reliability(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> Reliability:
    """(N,) confidence in [0, 1] and (N,) bool whether the answer was right → a row per bin (low, high] of equal width.

    Raises ValueError when there is no answer to judge.
    """
    if not len(confidence):
        raise ValueError("There is no answer to judge.")
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.ceil(np.asarray(confidence, np.float64) * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(place, np.asarray(confidence, np.float64), bins) / count
        accuracy = np.bincount(place, np.asarray(right, np.float64), bins) / count
    return Reliability(edges, mean, accuracy, count)


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """(N, K) validation logits and (N,) labels → the temperature with the least cross-entropy, within TEMPERATURES.

    Above 1 the model was too sure of itself; below 1, as after label smoothing, not sure enough.
    """
    exact = logits.double()

    def loss(log_temperature: float) -> float:
        return F.cross_entropy(exact / math.exp(log_temperature), labels).item()

    low, high = (math.log(end) for end in TEMPERATURES)
    return math.exp(minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-4}).x)


def confidence_at(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """(N, K) probabilities of a model → (N,) how sure it would be with its logits divided by `temperature` more."""
    sharpened = (probabilities / probabilities.max(axis=1, keepdims=True)) ** (1 / temperature)
    sure: np.ndarray = 1 / sharpened.sum(axis=1)
    return sure


def certainty(probabilities: np.ndarray) -> np.ndarray:
    """(..., K) → (...) in [0, 1]: 1 - entropy / log K, which is 1 for one class alone and 0 for all alike.

    It tells digits from what is none better than the largest probability, which does not see how the rest is spread.
    """
    entropy: np.ndarray = entr(np.asarray(probabilities, np.float64)).sum(axis=-1)
    return 1 - entropy / math.log(probabilities.shape[-1])


def calibrated(logits: Tensor, labels: Tensor) -> dict[str, float | str]:
    """(N, K) validation logits at temperature 1, (N,) labels → a card's `temperature`, `refuse_by`, `refuse_below`.

    At most nine in a thousand of these images are less certain than that. Without any image nothing is changed.
    """
    labels = labels.cpu()
    if not len(labels):
        return {"temperature": 1.0, "refuse_by": "certainty", "refuse_below": 0.0}
    temperature = round(fit_temperature(logits, labels), 4)
    certain = np.sort(certainty((logits / temperature).softmax(dim=1).numpy()))
    least = float(certain[int(REFUSED * len(certain))])
    return {
        "temperature": temperature,
        "refuse_by": "certainty",
        "refuse_below": max(0.0, math.floor(least * 1e6) / 1e6),
    }
