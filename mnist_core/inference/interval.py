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
    """The 95 % interval of `metrics["PART_accuracy"]`, PART being `test` or `val`.

    None where it was not measured, or the number of images was not recorded, as in earlier versions.
    """
    accuracy, images = metrics.get(f"{part}_accuracy"), metrics.get(f"{part}_images")
    if accuracy is None or not images:
        return None
    return wilson_interval(round(accuracy * images), int(images))
