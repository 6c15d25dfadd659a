"""Statistics of a dataset: counts per class, mean images, pixel levels, and the split."""

from __future__ import annotations

import numpy as np

LEVELS = 256


def class_counts(labels: np.ndarray, classes: int) -> np.ndarray:
    """(N,) int64 labels → (classes,) int64: the number of images of each class."""
    return np.bincount(labels, minlength=classes)


def mean_images(images: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """(N, C, H, W) uint8 → (classes, C, H, W) uint8: the mean image of each class; black without images."""
    means = np.zeros((classes, *images.shape[1:]), np.uint8)
    for label in np.unique(labels):
        chosen = images[labels == label]
        # 32 bits hold the sum of 16 million images; a float copy of the set would take four times its memory
        means[label] = np.round(chosen.sum(axis=0, dtype=np.uint32) / len(chosen))
    return means


def ground_level(images: np.ndarray) -> float:
    """(N, C, H, W) uint8 → the median level, in [0, 1], of the borders of up to 1,000 of the images, evenly chosen."""
    some = images[:: max(1, len(images) // 1000)]
    border = np.concatenate([some[:, :, 0], some[:, :, -1], some[:, :, :, 0], some[:, :, :, -1]], axis=-1)
    return float(np.median(border)) / 255


def pixel_histogram(images: np.ndarray) -> np.ndarray:
    """(N, C, H, W) uint8 → (C, 256) int64: the number of pixels of each channel at each level."""
    _, channels, height, width = images.shape
    # `bincount` makes 64-bit copies: in parts, they take 32 MB at a time
    size = max(2**22 // (height * width), 1)
    counts = np.zeros((channels, LEVELS), np.int64)
    for start in range(0, len(images), size):
        for channel in range(channels):
            counts[channel] += np.bincount(images[start : start + size, channel].ravel(), minlength=LEVELS)
    return counts


def level_values(histogram: np.ndarray, kind: str) -> np.ndarray:
    """(C, 256) counts of levels → (C, 256) float64: the value of each level after normalisation.

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
    """(C, 256) counts and (C, 256) values of levels → mean and standard deviation per channel."""
    weights = histogram / histogram.sum(axis=1, keepdims=True)
    means = (weights * values).sum(axis=1)
    deviations = np.sqrt((weights * (values - means[:, None]) ** 2).sum(axis=1))
    return means.tolist(), deviations.tolist()


def pixel_statistics(images: np.ndarray) -> tuple[list[float], list[float]]:
    """(N, C, H, W) uint8 → mean and standard deviation (at least 1e-6) per channel, of pixels scaled to [0, 1]."""
    return _unit_statistics(pixel_histogram(images))


def _unit_statistics(histogram: np.ndarray) -> tuple[list[float], list[float]]:
    means, deviations = moments(histogram, level_values(histogram, "unit"))
    return means, [max(deviation, 1e-6) for deviation in deviations]  # as a divisor


def split_table(labels: np.ndarray, validation: np.ndarray, classes: int, most: int) -> np.ndarray:
    """(N,) labels and validation indices → (classes, M) float64: the split of the first images of each class.

    1 is validation, 0 training, nan no image; M is `most`, or the size of the largest class if smaller.
    """
    chosen = np.zeros(len(labels))
    chosen[validation] = 1
    most = min(most, np.bincount(labels).max())
    table = np.full((classes, most), np.nan)
    for label in range(classes):
        first = chosen[labels == label][:most]
        table[label, : len(first)] = first
    return table
