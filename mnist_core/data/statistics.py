"""What a dataset looks like in numbers: counts per class, mean images, levels of pixels, who is in which part."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

LEVELS = 256


def class_counts(labels: Tensor, classes: int) -> np.ndarray:
    """(N,) labels → (classes,) int64: how many images of each."""
    return torch.bincount(labels, minlength=classes).numpy()


def mean_images(images: Tensor, labels: Tensor, classes: int) -> np.ndarray:
    """(N, C, H, W) uint8 → (classes, C, H, W) uint8: the mean of each class; black where it has no image."""
    pixels, targets = images.numpy(), labels.numpy()
    means = np.zeros((classes, *pixels.shape[1:]), np.uint8)
    for label in np.unique(targets):
        chosen = pixels[targets == label]
        # 32 bits hold the sum of 16 million images; floats of the whole set would cost four times its memory
        means[label] = np.round(chosen.sum(axis=0, dtype=np.uint32) / len(chosen))
    return means


def pixel_histogram(images: Tensor) -> np.ndarray:
    """(N, C, H, W) uint8 → (C, 256) int64: how many pixels of each channel have each level."""
    _, channels, height, width = images.shape
    # `bincount` works on 64-bit copies: 32 MB of them at a time, not of the whole set
    parts = images.split(max(2**22 // (height * width), 1))
    counts = torch.zeros(channels, LEVELS, dtype=torch.int64)
    for part in parts:
        for channel in range(channels):
            counts[channel] += torch.bincount(part[:, channel].flatten(), minlength=LEVELS)
    return counts.numpy()


def level_values(histogram: np.ndarray, kind: str) -> np.ndarray:
    """(C, 256) counts of levels → (C, 256) float64: the number that stands for each level.

    `kind` is a normalisation of `TrainConfig` ("unit": 0 to 1; "standard": mean 0, deviation 1), or "stored": 0 to 255.
    """
    levels = np.tile(np.arange(LEVELS, dtype=float), (len(histogram), 1))
    if kind == "stored":
        return levels
    if kind == "unit":
        return levels / 255
    means, deviations = (np.array(part)[:, None] for part in _unit_statistics(histogram))
    return np.asarray((levels / 255 - means) / deviations)


def moments(histogram: np.ndarray, values: np.ndarray) -> tuple[list[float], list[float]]:
    """(C, 256) counts of levels and value of each level → per-channel mean and standard deviation."""
    weights = histogram / histogram.sum(axis=1, keepdims=True)
    means = (weights * values).sum(axis=1)
    deviations = np.sqrt((weights * (values - means[:, None]) ** 2).sum(axis=1))
    return means.tolist(), deviations.tolist()


def pixel_statistics(images: Tensor) -> tuple[list[float], list[float]]:
    """(N, C, H, W) uint8 → per-channel mean and standard deviation (above 0) of pixels scaled to [0, 1]."""
    return _unit_statistics(pixel_histogram(images))


def _unit_statistics(histogram: np.ndarray) -> tuple[list[float], list[float]]:
    means, deviations = moments(histogram, level_values(histogram, "unit"))
    return means, [max(deviation, 1e-6) for deviation in deviations]  # which is divided by


def held_out(labels: Tensor, validation: Tensor, classes: int, most: int) -> np.ndarray:
    """(N,) labels and validation indices → (classes, M) float64: who of the first images of each class is held out.

    1 for validation, 0 for learning, nan where the class has no more images; M is `most`, or the largest class.
    """
    targets = labels.numpy()
    chosen = np.zeros(len(targets))
    chosen[validation.numpy()] = 1
    most = min(most, np.bincount(targets).max())
    table = np.full((classes, most), np.nan)
    for label in range(classes):
        first = chosen[targets == label][:most]
        table[label, : len(first)] = first
    return table
