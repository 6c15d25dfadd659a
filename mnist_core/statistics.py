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
    counts = [sum(torch.bincount(part[:, c].flatten(), minlength=LEVELS) for part in parts) for c in range(channels)]
    return torch.stack(counts).numpy()


def normalized_levels(means: list[float], deviations: list[float]) -> np.ndarray:
    """Per-channel mean and deviation (of pixels in [0, 1]) → (C, 256) float64: what a network gets for each level."""
    levels = np.arange(LEVELS) / 255
    return (levels - np.array(means)[:, None]) / np.array(deviations)[:, None]


def moments(histogram: np.ndarray, values: np.ndarray) -> tuple[list[float], list[float]]:
    """(C, 256) counts of levels, and the value of each level → per-channel mean and standard deviation."""
    weights = histogram / histogram.sum(axis=1, keepdims=True)
    means = (weights * values).sum(axis=1)
    deviations = np.sqrt((weights * (values - means[:, None]) ** 2).sum(axis=1))
    return means.tolist(), deviations.tolist()


def pixel_statistics(images: Tensor) -> tuple[list[float], list[float]]:
    """(N, C, H, W) uint8 → per-channel mean and standard deviation (above 0) of pixels scaled to [0, 1]."""
    means, deviations = moments(pixel_histogram(images), np.arange(LEVELS) / 255)
    return means, [max(deviation, 1e-6) for deviation in deviations]


def held_out(labels: Tensor, validation: Tensor, classes: int, most: int) -> np.ndarray:
    """(N,) labels and validation indices → (classes, most) float64: of the first images of each class, in their
    order, 1 for one held out for validation, 0 for one to learn from, nan where the class has no more."""
    targets = labels.numpy()
    chosen = np.zeros(len(targets))
    chosen[validation.numpy()] = 1
    table = np.full((classes, most), np.nan)
    for label in range(classes):
        first = chosen[targets == label][:most]
        table[label, : len(first)] = first
    return table
