"""Robustness: how a model's accuracy falls as its images are corrupted more and more; no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mnist_core.inference.corruptions import corrupted, get_corruption
from mnist_core.inference.interval import wilson_interval
from mnist_core.inference.metrics import Infers
from mnist_core.system.progress import Progress

FAILS_BELOW = 0.9  # of the accuracy on the images as they are
SAMPLE_SEED = 0


@dataclass(frozen=True, eq=False)
class Robustness:
    """How many of `images` images were read `right` at each of the `levels` of a corruption, 0 first."""

    corruption: str
    levels: tuple[float, ...]
    right: tuple[int, ...]
    images: int
    classes: int

    @property
    def accuracy(self) -> tuple[float, ...]:
        """In [0, 1], at each level."""
        return tuple(right / self.images for right in self.right)

    @property
    def intervals(self) -> tuple[tuple[float, float], ...]:
        """The 95 % interval of each accuracy, by `wilson_interval`."""
        return tuple(wilson_interval(right, self.images) for right in self.right)

    @property
    def limit(self) -> float:
        """The accuracy below which the model fails: FAILS_BELOW of that without corruption."""
        return FAILS_BELOW * self.accuracy[0]

    @property
    def measurable(self) -> bool:
        """Whether a fall can be told: without corruption, the limit lies above guessing."""
        return self.limit > 1 / self.classes

    @property
    def fails_at(self) -> int | None:
        """The place among `levels` of the first at which the model fails; None where it fails at none of them."""
        if not self.measurable:
            return None
        enough = FAILS_BELOW * self.right[0] - 1e-9  # exactly nine tenths are enough
        return next((place for place, right in enumerate(self.right) if right < enough), None)

    def record(self) -> dict[str, Any]:
        """As JSON holds it, on the command line; `fails_at` is a level, null where it fails at none."""
        place = self.fails_at
        return {
            "name": self.corruption,
            "levels": list(self.levels),
            "accuracy": list(self.accuracy),
            "intervals": [list(interval) for interval in self.intervals],
            "fails_at": None if place is None else self.levels[place],
        }


def sample(images: int, count: int, seed: int = SAMPLE_SEED) -> np.ndarray:
    """`count` of so many `images`, or all where there are fewer: sorted rows, drawn by `seed`."""
    return np.sort(np.random.default_rng(seed).permutation(images)[:count])


def robustness(
    network: Infers,
    images: np.ndarray,
    labels: np.ndarray,
    corruption: str,
    progress: Progress | None = None,
    seed: int = SAMPLE_SEED,
) -> Robustness:
    """The network's right answers to (N, C, H, W) uint8 `images` with (N,) `labels` at each level of `corruption`.

    The model's input is corrupted, which no preparation repairs. Raises ConfigError for an unknown corruption.
    """
    levels = get_corruption(corruption).levels
    right, classes = [], 0
    for place, level in enumerate(levels):
        logits = network.infer(corrupted(images, corruption, level, seed))
        right.append(int((logits.argmax(axis=1) == labels).sum()))
        classes = logits.shape[1]
        if progress is not None:
            progress((place + 1) / len(levels))
    return Robustness(corruption, levels, tuple(right), len(labels), classes)


def verdict(found: Robustness) -> str:
    """A sentence: at which level the model fails, or that it does not."""
    kind, clean, last = get_corruption(found.corruption), found.accuracy[0], len(found.levels) - 1
    if not found.measurable:
        return f"It reads only {clean:.1%} of the images as they are: no strength can be named at which it fails."
    place = found.fails_at
    if place is None:
        return (
            f"It does not fail: at the last level, {kind.text(found.levels[last])}, it still reads "
            f"{share_text(found, last)}, {clean:.1%} of the images as they are."
        )
    held = "Weaker ones were not tried" if place == 1 else f"Up to {kind.text(found.levels[place - 1])} it holds"
    return (
        f"It fails at {kind.text(found.levels[place])}: {share_text(found, place)} are read right, less than nine "
        f"tenths of the {clean:.1%} without. {held}."
    )


def share_text(found: Robustness, place: int) -> str:
    """The accuracy at a place among the levels, with its interval in percent: `87.2% (85.0–89.1)`."""
    low, high = found.intervals[place]
    return f"{found.accuracy[place]:.1%} ({100 * low:.1f}–{100 * high:.1f})"
