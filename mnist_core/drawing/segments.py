"""A number's ink is cut into parts that may be its digits.

A cut runs from the top to the bottom where it meets least ink (the seam of Avidan and Shamir, 2007): between two digits
none, through two that touch little. Which parts are digits is for a model to say (inference/numbers.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from mnist_core.lazy import LazyModule

if TYPE_CHECKING:
    from scipy import ndimage
else:
    ndimage = LazyModule("scipy.ndimage")

HEIGHT = 48  # px: seams are looked for in ink of about this height
INK = 0.25  # of full ink
SPACING = 0.06  # of the height: from one window in which a seam is looked for to the next
REACHES = (0.08, 0.18, 0.35)  # of the height: how far windows go to each side
BEND = 0.03  # what a step of a seam to the side costs, in full ink; one through the ground costs a tenth
MOST_CUT = 0.4  # of the height: a seam through more ink parts no digits
FREE = 0.03  # of the height: a seam through no more ink than blurred edges goes between two pieces
DISTINCT = 0.02  # of the height, squared: seams with less ink between them are one
LEAST_PART = 0.03  # of it: a part with less ink is none
WIDEST = 1.7  # of the height: no digit is wider


@dataclass(frozen=True, eq=False)
class Cuts:
    """The places where a number's ink, (h, w) float32 in [0, 1], may be cut, from left to right.

    `seams` (n, h) int64 has the first column to the right of each cut, row by row; the first and the last lie outside
    of all ink. `inked` (n,) is how much full ink each meets, in px; `tall` is the digits' height in px.
    """

    ink: np.ndarray
    seams: np.ndarray
    inked: np.ndarray
    tall: float

    def part(self, start: int, stop: int) -> np.ndarray | None:
        """(h, w) float32: the ink between two cuts; None if it is too little or too wide for a digit."""
        columns = np.arange(self.ink.shape[1])
        own = (columns >= self.seams[start][:, None]) & (columns < self.seams[stop][:, None])
        part = np.where(own, self.ink, 0)
        if part.sum() < LEAST_PART * self.tall**2:
            return None
        seen = np.flatnonzero((part > INK).any(0))
        return None if not len(seen) or np.ptp(seen) + 1 > WIDEST * self.tall else part


def line_height(ink: np.ndarray) -> float:
    """(h, w) float32 in [0, 1] → the height in px of its highest piece."""
    boxes = ndimage.find_objects(ndimage.label(ink > INK, np.ones((3, 3)))[0])
    return float(max((rows.stop - rows.start for rows, _ in boxes), default=0))


def find_cuts(ink: np.ndarray, through: bool) -> Cuts:
    """(h, w) float32 in [0, 1] with ink → where it may be cut: between pieces, and also `through` ink if so wanted."""
    tall = line_height(ink)
    factor = max(1, round(tall / HEIGHT))
    small = np.asarray(Image.fromarray(ink.astype(np.float32)).reduce(factor)) if factor > 1 else ink
    unit = tall / factor
    found = [_seams(small, unit, reach) for reach in (REACHES if through else REACHES[-1:])]
    seams, inked = (np.concatenate(parts) for parts in zip(*found, strict=True))
    kept = inked <= (MOST_CUT if through else FREE) * unit
    seams, inked = seams[kept], inked[kept]
    columns = np.arange(small.shape[1])
    # seams in the order of the ink to their left; of those with the same ink there, the one that cuts least
    before = np.array([np.where(columns < seam[:, None], small, 0).sum() for seam in seams])
    total, apart = float(small.sum()), DISTINCT * unit**2
    chosen: list[int] = []
    for number in np.argsort(inked, kind="stable"):
        if apart < before[number] < total - apart and all(abs(before[number] - before[c]) >= apart for c in chosen):
            chosen.append(int(number))
    chosen.sort(key=lambda number: before[number])
    height = ink.shape[0]
    fine = np.repeat(seams[chosen] * factor, factor, axis=1)[:, :height]
    ends = np.zeros((1, height), np.int64), np.full((1, height), ink.shape[1], np.int64)
    return Cuts(
        ink, np.concatenate([ends[0], fine, ends[1]]), np.concatenate([[0.0], inked[chosen] * factor, [0.0]]), tall
    )


def _seams(ink: np.ndarray, unit: float, share: float) -> tuple[np.ndarray, np.ndarray]:
    """(h, w) → (n, h) int64, the cheapest seam in each of n overlapping windows, and (n,) the ink that each meets."""
    height, width = ink.shape
    reach = max(2, round(share * unit))
    middles = np.arange(0, width, max(1, round(SPACING * unit)))
    columns = middles[:, None] + np.arange(-reach, reach + 1)
    padded = np.pad(ink, ((0, 0), (reach, reach + 1)))
    cost = padded[:, columns + reach].transpose(1, 0, 2) + 0.1 * BEND  # (n, h, 2 reach + 1)
    total = cost[:, 0].copy()
    steps = np.zeros(cost.shape, np.int8)
    wall = np.full((len(middles), 1), np.inf)
    for row in range(1, height):
        left = np.concatenate([wall, total[:, :-1]], axis=1) + BEND
        right = np.concatenate([total[:, 1:], wall], axis=1) + BEND
        choices = np.stack([left, total, right])
        best = choices.argmin(0)
        steps[:, row] = best - 1
        total = np.take_along_axis(choices, best[None], 0)[0] + cost[:, row]
    place = total.argmin(1)
    rows = np.arange(len(middles))
    seams = np.zeros((len(middles), height), np.int64)
    for row in range(height - 1, -1, -1):
        seams[:, row] = columns[rows, place]
        place = place + steps[rows, row, place]
    met = padded[np.arange(height), seams + reach].sum(1)
    return np.clip(seams, 0, width), met
