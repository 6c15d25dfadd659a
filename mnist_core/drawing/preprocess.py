"""Preprocessing: a canvas, a screenshot or a photo → the 28×28 image that a model trained on MNIST expects.

The target is MNIST's geometry (LeCun et al., 1998): the digit's longest side is 20 px, its centre of mass lies on
pixel (14, 14), strokes are 2.6 ± 0.7 px wide, light on dark.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from mnist_core.drawing.frames import without_frames
from mnist_core.drawing.sheet import PHOTO_NOISE, cut_out_sheet, without_grid
from mnist_core.errors import DrawingError
from mnist_core.lazy import LazyModule

if TYPE_CHECKING:
    from scipy import ndimage
else:
    ndimage = LazyModule("scipy.ndimage")

WORK_SIDE = 400  # px: larger pictures are shrunk to this; a digit of a tenth of the side still has 40 px
PAPER_SIDE = 56  # px: the background is estimated at about this size
LEFT_NOISE = 1.0  # grey levels: a photo stays one where the removal of squares has smoothed it
MIN_CONTRAST = 20  # grey levels between paper and ink; a picture with less is blank
EVERY = np.ones((3, 3))
CUT, MENDED = 5, 1.8  # px: gaps of less are closed in strokes of many pieces; by how much their area grows at most
FINE = 4  # stroke width is measured and corrected at this multiple of the final resolution
STROKE_WIDTHS = (1.9, 3.5)  # px: widths outside this range are brought to its nearer end


# ---- picture → 28×28 --------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Ink:
    """What the pen left on a picture: `pixels` (h, w) float32 in [0, 1], 1 where it went, with a margin of ground.

    A pixel of it is `scale` px of the picture wide, and its first lies `top` and `left` px into the picture.
    """

    pixels: np.ndarray
    scale: int = 1
    top: int = 0
    left: int = 0

    def box(self, rows: slice, columns: slice) -> tuple[int, int, int, int]:
        """A part of `pixels` → its place on the picture, (x, y, width, height) in px."""
        return (
            self.left + columns.start * self.scale,
            self.top + rows.start * self.scale,
            (columns.stop - columns.start) * self.scale,
            (rows.stop - rows.start) * self.scale,
        )


def to_model_input(pixels: np.ndarray) -> np.ndarray | None:
    """(H, W), (H, W, 3) or (H, W, 4) uint8, or float in [0, 1] → (28, 28) uint8, light on dark; None if no digit.

    Dark on light or light on dark, of any size, on a canvas or on unevenly lit paper. Raises DrawingError for any
    other shape.
    """
    found = find_ink(pixels)
    return None if found is None else digit_image(found.pixels)


def find_ink(pixels: np.ndarray) -> Ink | None:
    """A picture as `to_model_input` takes it → its ink, without frames, lines and specks; None if there is none.

    Raises DrawingError for any other shape.
    """
    grey = _grey(pixels)
    scale = 1 if grey is None else _reduction(np.asarray(pixels).shape)
    noise = 0.0 if grey is None else _noise(grey)
    if grey is not None and (plain := without_grid(grey, noise)) is not grey:
        grey, noise = plain, max(_noise(plain), min(noise, LEFT_NOISE))
    # a photo has noise; on a canvas, a thick rectangular 0 would look like a sheet
    if grey is not None and noise > PHOTO_NOISE and (sheet := cut_out_sheet(grey)) is not None:
        ink = _ink(sheet.grey, _noise(sheet.grey))
        if ink is not None:
            return Ink(ink, scale, sheet.top * scale, sheet.left * scale)
    ink = None if grey is None else _ink(grey, noise)
    if ink is None and (coloured := _along_colour(pixels)) is not None:
        ink = _ink(coloured, _noise(coloured))  # ink as bright as its paper, in another colour
    return None if ink is None else Ink(ink, scale)


def digit_image(ink: np.ndarray) -> np.ndarray:
    """(h, w) float32 in [0, 1], the ink of one digit → (28, 28) uint8, light on dark, in MNIST's geometry."""
    digit = _cropped(ink)
    if ink.shape != (28, 28):  # an image of MNIST's size keeps its strokes
        digit = _with_stroke_width(digit)
    return _centred(_resized(digit, 20))


def as_pixels(pixels: np.ndarray) -> np.ndarray:
    """(H, W), (H, W, 1), (H, W, 3) or (H, W, 4), uint8 or float in [0, 1] → uint8, (H, W) if it has one channel.

    Raises DrawingError for any other shape.
    """
    pixels = np.asarray(pixels)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] not in (3, 4)):
        raise DrawingError(f"A drawing is (H, W), (H, W, 3) or (H, W, 4), not {pixels.shape}: pass one picture.")
    if pixels.size and pixels.dtype != np.uint8:
        pixels = np.nan_to_num(pixels.astype(np.float32))
        pixels = (np.clip(pixels * (255 if pixels.max() <= 1 else 1), 0, 255) + 0.5).astype(np.uint8)
    return np.ascontiguousarray(pixels)


def _grey(pixels: np.ndarray) -> np.ndarray | None:
    """Any accepted array → (H, W) float32 in 0…255, at most WORK_SIDE a side; transparency filled with its paper."""
    pixels = as_pixels(pixels)
    if pixels.size == 0:
        return None
    picture = Image.fromarray(pixels)
    factor = _reduction(pixels.shape)
    if factor > 1:
        picture = picture.reduce(factor)  # the mean of factor × factor pixels, weighted by alpha
    grey = np.asarray(picture.convert("L"), np.float32)
    if picture.mode == "RGBA" and (alpha := np.asarray(picture)[:, :, 3]).min() < 255:
        seen = grey[alpha > 127]
        if seen.size == 0:
            return None
        low, middle, high = np.percentile(seen, [5, 50, 95])
        # strokes alone on transparency have one tone; a picture with transparent corners has its own paper
        paper = middle if high - low > 64 and 2 * seen.size > grey.size else 255.0 * (middle < 128)
        grey = paper + (grey - paper) * (alpha / np.float32(255))
    return grey


def _reduction(shape: tuple[int, ...]) -> int:
    """How many pixels of a picture of that shape, (H, W, …), become one."""
    return -(-max(shape[:2]) // WORK_SIDE)


def _along_colour(pixels: np.ndarray) -> np.ndarray | None:
    """(H, W, 3) or opaque (H, W, 4) uint8 → (H, W) float32 along the direction in which its colours vary most.

    That is the first principal component of RGB. None for a picture in greys, or one that varies too little.
    """
    pixels = np.asarray(pixels)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in (3, 4) or pixels.size == 0:
        return None
    if pixels.shape[2] == 4 and pixels[:, :, 3].min() < 255:
        return None
    picture = Image.fromarray(np.ascontiguousarray(pixels[:, :, :3]))
    colours = np.asarray(picture.reduce(max(1, _reduction(pixels.shape))), np.float64)
    flat = colours.reshape(-1, 3)
    chroma = np.ptp(flat, axis=1)
    if chroma.max() < MIN_CONTRAST:
        return None
    direction = np.linalg.eigh(np.cov(flat.T) if len(flat) > 1 else np.eye(3))[1][:, -1]
    along = (flat - np.median(flat, axis=0)) @ direction
    if np.ptp(along) < MIN_CONTRAST:
        return None
    # the paper becomes mid-grey, so that noise and shadows are divided by the same tone whatever its colour
    out: np.ndarray = np.clip(128 + along, 0, 255).reshape(colours.shape[:2]).astype(np.float32)
    return out


def _ink(grey: np.ndarray, noise: float) -> np.ndarray | None:
    """(H, W) float32 grey with this `_noise` → (H, W) float32 in [0, 1], 1 where the pen went; None if there is no
    coherent ink."""
    large = min(grey.shape) >= PAPER_SIDE
    if noise > 2 and large:
        grey = ndimage.gaussian_filter(grey, 1)
        noise *= 0.3  # what a Gaussian of 1 px leaves of white noise
    paper, light_on_dark = _paper(grey, photo=noise > PHOTO_NOISE and large)
    if light_on_dark:
        ink = grey - paper
    else:  # on paper, ink is the share of light that the pen absorbs: it is the same in a shadow
        ink = 255 * (paper - grey) / np.maximum(paper, 64)
        noise *= 255 / max(paper.mean(), 64)
    peak = ink.max()
    if peak < MIN_CONTRAST:
        return None
    full = np.percentile(ink[ink > 0.5 * peak], 90)
    if full < max(MIN_CONTRAST, 6 * noise):
        return None
    floor = 0 if noise < 1 else 0.3 * full
    shown = np.clip((ink - floor) / (full - floor), 0, 1)
    cleaned = without_frames(shown)
    ink = ink if cleaned is shown else np.where(cleaned > 0, ink, 0)
    # strokes are mostly full ink; texture, noise and shadows are half-tones (measured ratio: strokes ≤ 1.8, others ≥ 2)
    if large and ((ink > 0.25 * full) & (ink <= 0.6 * full)).sum() > 2 * (ink > 0.6 * full).sum():
        return None
    return _without_specks(cleaned)


def _noise(grey: np.ndarray) -> float:
    """Standard deviation of pixel noise in grey levels, from the smaller neighbour differences; 0 on a canvas."""
    if min(grey.shape) >= PAPER_SIDE:
        steps = np.abs(np.diff(grey[::3], axis=1))
        return float(np.percentile(steps, 30) / 0.385 / 2**0.5)  # 30 % of |N(0, 1)| is below 0.385
    # a small picture may be all edges: noise is then what differs from its neighbours in every direction
    pairs = [(grey[1:], grey[:-1]), (grey[:, 1:], grey[:, :-1])]
    pairs += [(grey[1:, 1:], grey[:-1, :-1]), (grey[1:, :-1], grey[:-1, 1:])]
    difference = min((np.square(a - b).mean() / 2 for a, b in pairs if a.size), default=0.0)
    return float(difference**0.5) if difference > 0.7 * grey.var() else 0.0


def _paper(grey: np.ndarray, photo: bool) -> tuple[np.ndarray, bool]:
    """(H, W) grey → (H, W) the paper without the ink, and whether the ink is lighter than the paper.

    The ink is what departs furthest from a plane fitted to the tones of the border. The paper under it is the
    morphological closing of the picture (the opening, for light ink), wider than any stroke.
    """
    factor = max(1, round(max(grey.shape) / PAPER_SIDE))
    small = np.asarray(Image.fromarray(grey).reduce(factor)) if factor > 1 else grey
    y, x = (axis.ravel() for axis in np.mgrid[-1 : 1 : small.shape[0] * 1j, -1 : 1 : small.shape[1] * 1j])
    plane, tones = np.stack([np.ones_like(x), x, y], 1), small.ravel().astype(np.float64)
    # the border is mostly paper, even where a digit crosses it; the rest helps to find the direction of the light
    prior = np.where(np.maximum(abs(x), abs(y)) > 0.9, 12.0, 1.0)
    weights = prior
    for _ in range(8):  # least absolute deviations by iterative reweighting: ink is an outlier
        weighted = plane * weights[:, None]
        level = plane @ np.linalg.lstsq(weighted.T @ plane, weighted.T @ tones, rcond=None)[0]
        weights = prior / np.maximum(abs(tones - level), 2)
    off = tones - level
    light_on_dark = bool(off[abs(off) > 0.5 * abs(off).max()].sum() > 0)
    side = -1 if light_on_dark else 1
    reach = max(2, max(small.shape) // 4)
    # of a padded photo, the closing keeps ramps and dark areas that begin at the border: light and shadows. On a canvas
    # these are ink: without padding, the filters mirror the picture at its border and find the paper beside them
    pad = reach if photo else 0
    padded = np.pad(side * small, pad, constant_values=-1e3)
    closed = ndimage.minimum_filter(ndimage.maximum_filter(padded, 2 * reach + 1), 2 * reach + 1)
    paper = np.ascontiguousarray(side * closed[pad : pad + small.shape[0], pad : pad + small.shape[1]])
    if factor > 1:
        part = (0, 0, grey.shape[1] / factor, grey.shape[0] / factor)
        paper = np.asarray(Image.fromarray(paper).resize(grey.shape[::-1], Image.Resampling.BILINEAR, box=part))
    return paper, light_on_dark


def _without_specks(ink: np.ndarray) -> np.ndarray | None:
    """Ink without pieces much smaller than the largest; None if no piece is large enough."""
    labels, count = ndimage.label(ink > 0.25, EVERY)
    areas = np.bincount(labels.ravel(), minlength=2)[1:]
    if areas.max() < 0.1 * areas.sum() and (whole := _mended(ink)) is not None:
        ink = whole
        labels, count = ndimage.label(ink > 0.25, EVERY)
        areas = np.bincount(labels.ravel(), minlength=2)[1:]
    if areas.max() < 0.1 * areas.sum() or areas.max() == 0:
        return None
    if count == 1:
        return ink
    specks = np.isin(labels, 1 + np.flatnonzero(areas < 0.04 * areas.max()))
    return np.where(ndimage.binary_dilation(specks, iterations=2), 0, ink)


def _mended(ink: np.ndarray) -> np.ndarray | None:
    """Ink whose strokes are cut by light lines, as squares printed over it, in one piece; None if it is none."""
    closed: np.ndarray = ndimage.grey_closing(ink, (CUT, CUT))
    labels, _ = ndimage.label(closed > 0.25, EVERY)
    areas = np.bincount(labels.ravel(), minlength=2)[1:]
    # a texture is filled rather than mended
    filled = areas.sum() > MENDED * (ink > 0.25).sum()
    return None if filled or areas.max() < 0.5 * areas.sum() else closed


def _with_stroke_width(digit: np.ndarray) -> np.ndarray:
    """Cropped ink (h, w) float32 in [0, 1] → the same, or a fine copy whose strokes have STROKE_WIDTHS at 20 px."""
    fine = np.pad(_resized(digit, 20 * FINE), 3 * FINE)
    seen = fine[fine > 0.05]
    if not seen.size:  # specks of a pixel far apart
        return digit
    drawn = fine > 0.5 * np.percentile(seen, 90)  # a hairline is faint throughout
    inside = ndimage.distance_transform_edt(drawn)
    # in a ribbon of width w the mean distance to the edge is w / 4; the edge is half a pixel before the next pixel
    width = 4 * (inside[inside > 0].mean() - 0.5) / FINE
    wanted = float(np.clip(width, *STROKE_WIDTHS))
    if wanted == width:
        return digit
    # growing by d on every side also grows the box that becomes 20 px: (w + 2d) · 20 / (20 + 2d) = wanted
    grow = FINE * 10 * (wanted - width) / (20 - wanted)
    distance = inside - ndimage.distance_transform_edt(~drawn)
    distance -= np.sign(distance) / 2
    pieces = ndimage.label(inside > 0)[1]
    while grow < 0 and ndimage.label(distance + grow > 0)[1] != pieces:
        grow = grow / 2 if grow < -0.5 else 0  # thinned this far, the stroke would break or vanish
    return _cropped(np.clip(distance + grow + 0.5, 0, 1))


def _cropped(ink: np.ndarray) -> np.ndarray:
    """(h, w) → the smallest part with all ink over 0.2; fainter edges are blur."""
    rows, columns = np.nonzero(ink > 0.2)
    return ink[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def _resized(ink: np.ndarray, side: int) -> np.ndarray:
    """(h, w) → resized to `side` px on the longest side, by area when shrinking; the other side is rounded up."""
    shape = np.array(ink.shape)
    scale = side / shape.max()
    if scale == 1:
        return ink
    size = np.ceil(shape * scale - 1e-6).astype(int)
    spare = (size / scale - shape) / 2  # padding, so that a thin 1 keeps its width
    pad = np.ceil(spare).astype(int)
    padded = Image.fromarray(np.pad(ink.astype(np.float32), [(pad[0], pad[0]), (pad[1], pad[1])]))
    top, left = np.maximum(pad - spare, 0)
    bottom, right = np.minimum(pad + shape + spare, shape + 2 * pad)
    how = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
    part = (float(left), float(top), float(right), float(bottom))
    resized = np.asarray(padded.resize((int(size[1]), int(size[0])), how, box=part))
    return resized.clip(0, 1)


def _centred(digit: np.ndarray) -> np.ndarray:
    """(h, w) float32 in [0, 1], h and w ≤ 20 → (28, 28) uint8, centre of mass on pixel (14, 14) to half a pixel."""
    height, width = digit.shape
    mass = digit.sum()
    row = 14 - (digit.sum(1) @ np.arange(height)) / mass
    column = 14 - (digit.sum(0) @ np.arange(width)) / mass
    top, left = int(np.clip(round(row), 0, 28 - height)), int(np.clip(round(column), 0, 28 - width))
    out = np.zeros((28, 28), np.float32)
    out[top : top + height, left : left + width] = digit / digit.max()
    return np.rint(255 * out).astype(np.uint8)
