"""Paper: a sheet on a darker table is cut out, and printed squares are removed, so that neither is taken for ink."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

from mnist_core.lazy import LazyModule

if TYPE_CHECKING:
    from scipy import ndimage
else:
    ndimage = LazyModule("scipy.ndimage")

COARSE_SIDE = 100  # px: the sheet is looked for at about this size
MIN_CONTRAST = 20  # grey levels between paper and line
FAINT_CONTRAST = 8  # grey levels, at least, of a line that is printed over ink
PHOTO_NOISE = 0.5  # grey levels; a canvas has none
MIN_STEP = 40  # grey levels between table and sheet
SHARES = (0.2, 0.9)  # of the picture that a sheet takes
BORDER_SHARE = 0.6  # of the picture's border that is table, at least
RECTANGULAR = 0.88  # of the tightest rectangle around it that a sheet fills; an ellipse fills 0.79
MOST_INK = 0.25  # of the sheet
LINE_WIDTH = 5  # px: dark lines up to this width are printed
BESIDE = 3  # px: so far from a line's middle lies what is beside it
LEAST_COVERED = 0.5  # of a line that is darker than what is beside it
LEAST_LINES, LEAST_SPAN = 3, 0.5  # lines in each direction, and the share of the side from the first to the last
MOST_LINES = 0.35  # of a picture's pixels that lie in lines; noise has more
MOST_TURNED = 12  # degrees
SLOPES = tuple(np.tan(np.radians(sorted(np.arange(-MOST_TURNED, MOST_TURNED + 0.1, 0.25), key=abs))).tolist())
SAMPLED = 3  # lines are looked for in every third column
MARGIN = 0.03  # of the sheet's side that is left out at its edges, where it casts shadows


class Sheet(NamedTuple):
    """The part of a picture with a sheet, (h, w) float32 in 0…255, and where it begins, in px."""

    grey: np.ndarray
    top: int
    left: int


def cut_out_sheet(grey: np.ndarray) -> Sheet | None:
    """(H, W) float32 in 0…255 → the part with the sheet, the table in the tone of the paper; None without a sheet.

    A sheet is a bright, filled, nearly rectangular area that has ink on it and table around it. A thick rectangular 0
    on a canvas is such an area too: ask for photos only.
    """
    factor = max(1, max(grey.shape) // COARSE_SIDE)
    coarse = np.asarray(Image.fromarray(grey).reduce(factor)) if factor > 1 else grey
    step = _threshold(coarse)
    if step is None:
        return None
    labels, count = ndimage.label(coarse > step)
    if not count:
        return None
    bright = labels == 1 + int(np.bincount(labels.ravel())[1:].argmax())
    sheet = ndimage.binary_fill_holes(bright)
    border = np.concatenate([sheet[0], sheet[-1], sheet[:, 0], sheet[:, -1]])
    ink = 1 - bright.sum() / sheet.sum()
    if not SHARES[0] <= sheet.mean() <= SHARES[1] or (~border).mean() < BORDER_SHARE or not 0 < ink <= MOST_INK:
        return None
    if sheet.sum() < RECTANGULAR * _tightest_rectangle(sheet):
        return None
    margin = max(1, round(MARGIN * sheet.sum() ** 0.5))
    inside = ndimage.binary_erosion(sheet, iterations=margin)
    if not inside.any():
        return None
    rows, columns = np.nonzero(inside)
    top, left = rows.min() * factor, columns.min() * factor
    bottom, right = (rows.max() + 1) * factor, (columns.max() + 1) * factor
    mask = np.kron(inside, np.ones((factor, factor), bool))[: grey.shape[0], : grey.shape[1]]
    paper = np.float32(np.median(grey[: mask.shape[0], : mask.shape[1]][mask]))
    part = grey[top:bottom, left:right]
    whole = np.where(mask[top:bottom, left:right][: part.shape[0], : part.shape[1]], part, paper)
    return Sheet(whole, int(top), int(left))


def without_grid(grey: np.ndarray, noise: float) -> np.ndarray:
    """(H, W) float32 in 0…255, of that noise, → the same without the lines of squared paper; itself where none are.

    The lines may be turned by up to MOST_TURNED. They take the tone beside them, and ink that is wider than a line
    stays.
    """
    if min(grey.shape) < 8 * LINE_WIDTH:
        return grey
    rows, columns = _printed(grey, MIN_CONTRAST), _printed(grey.T, MIN_CONTRAST)
    if rows is None or columns is None:
        return _bridged(grey, noise) if noise > PHOTO_NOISE else grey
    cleaned = np.where(rows, _filled(grey), grey)
    cleaned = np.where(columns.T, _filled(cleaned.T).T, cleaned)
    # single pixels of turned lines are left where two cross, and at the border
    near = ndimage.binary_dilation(rows | columns.T, iterations=LINE_WIDTH, border_value=1)
    return np.where(near, _closed(cleaned, (3, 3)), cleaned)


def _bridged(grey: np.ndarray, noise: float) -> np.ndarray:
    """(H, W) of a photo → the same where pale squares are printed over the ink, with the ink that they cut joined.

    Paler than ink by far, their lines need not be removed from the paper.
    """
    least = float(np.clip(4.5 * noise, FAINT_CONTRAST, MIN_CONTRAST))
    rows, columns = _printed(grey, least), _printed(grey.T, least)
    if rows is None or columns is None:
        return grey
    joined = np.where(rows, np.minimum(grey, _across(grey)), grey)
    return np.where(columns.T, np.minimum(joined, _across(joined.T).T), joined)


def _across(grey: np.ndarray) -> np.ndarray:
    """(H, W) → the tone that both sides of a line along the rows have, straight across it or at a slant."""
    height, width = grey.shape
    padded = np.pad(grey, BESIDE, mode="edge")
    tone = np.full_like(grey, 255)
    for shift in range(-BESIDE, BESIDE + 1):
        above = padded[:height, BESIDE + shift : BESIDE + shift + width]
        below = padded[2 * BESIDE :, BESIDE - shift : BESIDE - shift + width]
        tone = np.minimum(tone, np.maximum(above, below))
    return tone


def _filled(grey: np.ndarray) -> np.ndarray:
    """(H, W) → what would be there without a line along the rows: paper, or ink where it goes on at both sides.

    The line may be darker than the paper, or lie over the ink and be brighter than it.
    """
    filled: np.ndarray = np.minimum(_closed(grey, (LINE_WIDTH + 2, 1)), _across(grey))
    return filled


def _closed(grey: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The morphological closing: without what is dark and narrower than `size`. Outside the picture is bright."""
    closed: np.ndarray = ndimage.grey_closing(grey, size, mode="constant", cval=255)
    return closed


def _printed(grey: np.ndarray, least: float) -> np.ndarray | None:
    """(H, W) float32 → (H, W) bool, where lines along the rows are printed; None where there are no such lines.

    A line is dark along most of its length: a Hough transform (Duda and Hart, 1972) of the pixels that are darker than
    those above and below them, over small angles.
    """
    height, width = grey.shape
    sampled = grey[:, ::SAMPLED]
    y, x = np.nonzero(_closed(sampled, (LINE_WIDTH, 1)) - sampled > least)
    count = sampled.shape[1]
    if not LEAST_LINES * LEAST_SPAN * count < len(y) < MOST_LINES * sampled.size:
        return None
    reach = int(np.ceil(SLOPES[-1] * width / 2))  # lines that cross the middle column outside of the picture
    best, lines, slope = 0.0, None, 0.0
    for candidate in SLOPES:
        shift = np.rint(candidate * (np.arange(count) * SAMPLED - width / 2)).astype(int)
        dark = np.bincount(y - shift[x] + reach, minlength=height + 2 * reach + 1)
        enters, leaves = (np.bincount(end - shift + reach, minlength=len(dark)) for end in (0, height))
        length = np.cumsum(enters - leaves)[: len(dark)]
        covered = dark > LEAST_COVERED * length
        whole = covered & (2 * length >= count)
        if dark[whole].sum() > best and _is_printed(whole, height):
            best, lines, slope = float(dark[whole].sum()), covered & (length > 0), candidate
    if lines is None:
        return None
    shift = np.rint(slope * (np.arange(width) - width / 2)).astype(int)
    printed: np.ndarray = ndimage.binary_dilation(lines)[np.arange(height)[:, None] - shift + reach]
    return printed


def _is_printed(lines: np.ndarray, height: int) -> bool:
    """Whether there are lines all over a picture of this height: (N,) bool of rows."""
    places = np.flatnonzero(lines)
    return bool(ndimage.label(lines)[1] >= LEAST_LINES and np.ptp(places) >= LEAST_SPAN * height)


def _threshold(grey: np.ndarray) -> float | None:
    """The level that best separates dark from bright (Otsu, 1979); None where the two are closer than MIN_STEP."""
    counts, edges = np.histogram(grey, bins=64, range=(0, 256))
    middle = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * middle)
    with np.errstate(divide="ignore", invalid="ignore"):
        dark, bright = sums / below, (sums[-1] - sums) / above
        between = np.nan_to_num(below * above * (dark - bright) ** 2)
    best = int(between.argmax())
    if between[best] == 0 or bright[best] - dark[best] < MIN_STEP:
        return None
    return float(edges[best + 1])


def _tightest_rectangle(mask: np.ndarray) -> float:
    """The area, in pixels, of the smallest rectangle around `mask`, among those turned by multiples of 3°."""
    points = np.argwhere(mask & ~ndimage.binary_erosion(mask))
    angles = np.radians(np.arange(0, 90, 3))
    along = points @ np.stack([np.cos(angles), np.sin(angles)])
    across = points @ np.stack([-np.sin(angles), np.cos(angles)])
    return float(((np.ptp(along, axis=0) + 1) * (np.ptp(across, axis=0) + 1)).min())
