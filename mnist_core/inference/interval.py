"""How far an accuracy could be from what was measured on so many images; no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping


def wilson_interval(right: int, images: int, z: float = 1.959964) -> tuple[float, float]:
    """`right` of `images` → the ends of the accuracy's 95 % interval, in [0, 1]; (0, 1) of no images.

    The score interval, which is right near 100 % and for few images too: E. B. Wilson, Probable Inference, the Law of
    Succession, and Statistical Inference, 1927.
    """
    if not images:
        return 0.0, 1.0
    share, spread = right / images, z * z / images
    centre = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / images + spread / (4 * images)) / (1 + spread)
    return max(0.0, centre - half), min(1.0, centre + half)


def measured_interval(metrics: Mapping[str, float], part: str) -> tuple[float, float] | None:
    """The 95 % interval of `metrics["PART_accuracy"]`, PART being `test`, `val` or `drawn`.

    None where it was not measured, or the number of images was not recorded, as in earlier versions.
    """
    accuracy, images = metrics.get(f"{part}_accuracy"), metrics.get(f"{part}_images")
    if accuracy is None or not images:
        return None
    return accuracy_interval(accuracy, int(images))


def accuracy_interval(accuracy: float, images: int) -> tuple[float, float]:
    """`wilson_interval` of an accuracy in [0, 1] on so many images, or of the mean over trainings judged on the same.

    It tells how far other images of the same kind could lead, not how far other seeds could.
    """
    return wilson_interval(round(accuracy * images), images)


def interval_text(interval: tuple[float, float]) -> str:
    """The ends of an interval in percent: `99.49–99.73`."""
    low, high = interval
    return f"{100 * low:.2f}–{100 * high:.2f}"


def accuracy_text(accuracy: float, images: int | None) -> str:
    """An accuracy in [0, 1] with its 95 % interval, where the number of images is known: `99.63% (99.49–99.73)`."""
    return f"{accuracy:.2%} ({interval_text(accuracy_interval(accuracy, images))})" if images else f"{accuracy:.2%}"
