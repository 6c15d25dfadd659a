"""Frames and lines: what is printed or drawn around, under or through a digit is set aside before it is read.

A frame surrounds what is in it and does not touch it. A line is found as the longest straight chain of thin runs of ink
(a Hough transform, Duda and Hart, 1972, of the middles of the runs), and where it crosses a stroke, the stroke stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mnist_core.lazy import LazyModule

if TYPE_CHECKING:
    from scipy import ndimage
else:
    ndimage = LazyModule("scipy.ndimage")

INK = 0.18  # of full ink: fainter pixels are ground
LEAST_SIDE = 48  # px: in smaller pictures a frame and a stroke look alike
MOST_PIECES = 400  # more are texture
EVERY = np.ones((3, 3))
# A frame surrounds a digit if from these shares of the digit's rows and columns one meets it, outwards
LEAST_COVERED, MEAN_COVERED = 0.45, 0.6
LEAST_FILLED = 0.25  # of a frame's height that the digit in it has
OVAL, RECTANGULAR = 0.75, 0.9  # width by height; a narrower frame that is no rectangle is a 0 with a slash in it
DASH = 0.12  # of the digit's height: how wide a piece of a dashed frame is at most
TURNED = 7  # degrees that a line may be turned
SLOPES = np.tan(np.radians(np.arange(-TURNED, TURNED + 0.1, 0.5)))
THIN = 0.09  # of the picture's longer side: no line is thicker
SHORTEST = 0.1  # of the picture's longer side: no line is shorter
BRIDGED = 0.1  # of it: a gap in a line, such as a stroke that crosses it
MOST_RUNS = 8  # thin runs in a column, on average; texture has more
MOST_LINES = 12  # in one direction
CHAINED = 0.55  # of a line's columns that have its ink: dashes have no more
BESIDE = 0.5  # of a line's columns that have a thin run right beside it, at most; texture has more
MARGIN = 0.02  # of the picture's side: an end this near to its border touches it
CORNER = 0.06  # of the picture's longer side: how far from each other two lines of a corner end
UNDERLINE = 0.12  # of the digits' height: how far above their foot an underline is at most


def without_frames(ink: np.ndarray) -> np.ndarray:
    """(H, W) float32 in [0, 1], 1 where there is full ink → the same without frames and lines; itself without any."""
    if min(ink.shape) < LEAST_SIDE:
        return ink
    return _without_lines(_without_surrounding(ink))


# ---- frames that touch nothing ----------------------------------------------------------------------------------


def _without_surrounding(ink: np.ndarray) -> np.ndarray:
    labels, count = ndimage.label(ink > INK, EVERY)
    if not 1 < count <= MOST_PIECES:
        return ink
    boxes = ndimage.find_objects(labels)
    sides = np.array([[box[0].start, box[0].stop, box[1].start, box[1].stop] for box in boxes])
    heights, widths = sides[:, 1] - sides[:, 0], sides[:, 3] - sides[:, 2]
    frames = set()
    for number in np.argsort(-heights * widths):
        top, bottom, left, right = sides[number]
        within = (sides[:, 0] > top) & (sides[:, 1] < bottom) & (sides[:, 2] > left) & (sides[:, 3] < right)
        if not within.any():
            continue
        inner = sides[within]
        box = (inner[:, 0].min(), inner[:, 1].max(), inner[:, 2].min(), inner[:, 3].max())
        # together, for a 5 may be of two pieces; but one of them is large
        if heights[within].max() < LEAST_FILLED * heights[number]:
            continue
        piece = labels == number + 1
        if _surrounds(piece, box) and not _may_be_zero(piece[boxes[number]]):
            frames.add(int(number))
    frames |= _dashes(labels, sides, frames)
    return _without(ink, np.isin(labels, [number + 1 for number in frames])) if frames else ink


def _surrounds(piece: np.ndarray, box: tuple[int, int, int, int], sides: int = 4) -> bool:
    """Whether ink, (H, W) bool, is met from nearly everywhere in a box (top, bottom, left, right) on going outwards."""
    top, bottom, left, right = box
    covered = [
        piece[:top, left:right].any(0).mean() if top else 0.0,
        piece[bottom:, left:right].any(0).mean(),
        piece[top:bottom, :left].any(1).mean() if left else 0.0,
        piece[top:bottom, right:].any(1).mean(),
    ]
    return min(covered) >= LEAST_COVERED and float(np.mean(covered)) >= MEAN_COVERED


def _may_be_zero(piece: np.ndarray) -> bool:
    """Whether a closed piece of ink, (h, w) bool, is an oval rather than a frame."""
    if piece.shape[1] >= OVAL * piece.shape[0]:
        return False
    return bool(ndimage.binary_fill_holes(piece).mean() < RECTANGULAR)


def _dashes(labels: np.ndarray, sides: np.ndarray, known: set[int]) -> set[int]:
    """The numbers of the pieces that together surround the largest other piece: a frame of dashes or of four strokes."""
    heights, widths = sides[:, 1] - sides[:, 0], sides[:, 3] - sides[:, 2]
    areas = np.bincount(labels.ravel(), minlength=len(sides) + 1)[1:].astype(float)
    areas[list(known)] = 0
    # a line has a large box only if it runs askew
    core = int(np.argmax(np.minimum(heights, widths) * np.maximum(heights, widths) * (areas > 0)))
    thin = np.minimum(heights, widths) <= max(3.0, DASH * max(heights[core], widths[core]))
    top, bottom, left, right = sides[core]
    outside = (sides[:, 1] <= top) | (sides[:, 0] >= bottom) | (sides[:, 3] <= left) | (sides[:, 2] >= right)
    chosen = [n for n in np.flatnonzero(thin & outside) if n != core and n not in known]
    if len(chosen) < 4:
        return set()
    return set(chosen) if _surrounds(np.isin(labels, np.array(chosen) + 1), (top, bottom, left, right)) else set()


def _without(ink: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Ink without the pixels of `out`, (H, W) bool, and without their blurred edges."""
    kept = ndimage.binary_dilation((ink > INK) & ~out, EVERY)
    return np.where(out | (ndimage.binary_dilation(out, EVERY, iterations=2) & ~kept), 0, ink).astype(ink.dtype)


# ---- lines ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Line:
    """A line along the columns of a picture from `start` to `stop` (exclusive); `middle` is its place in each column."""

    start: int
    stop: int
    middle: np.ndarray
    thickness: float

    @property
    def length(self) -> int:
        return self.stop - self.start

    @property
    def place(self) -> float:
        return float(self.middle.mean())


@dataclass(frozen=True, eq=False)
class _Rest:
    """What is left without some lines: the ink, and the box of its larger pieces."""

    ink: np.ndarray
    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left


def _without_lines(ink: np.ndarray) -> np.ndarray:
    mask = ink > INK
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return ink
    extent = (1 + int(np.ptp(rows)), 1 + int(np.ptp(columns)))
    level = _lines(mask)
    steep = _lines(mask.T)
    if not any(line.length >= 0.6 * extent[1] for line in level) and not any(
        line.length >= 0.6 * extent[0] for line in steep
    ):
        return ink
    out_level, out_steep = _cells(mask, level, steep)
    through_level, through_steep = _through(mask, level), _through(mask.T, steep)
    out_level += [line for line in through_level if line not in out_level]
    out_steep += [line for line in through_steep if line not in out_steep]
    if not out_level and not out_steep:
        out_level, out_steep = _underline(mask, level, steep)
    if not out_level and not out_steep:
        return ink
    kept = _removed(mask, out_level, out_steep)
    return _without(ink, mask & ~kept)


def _lines(mask: np.ndarray) -> list[_Line]:
    """(H, W) bool → the straight lines that run from left to right, the longest first."""
    height, width = mask.shape
    side = max(mask.shape)
    steps = np.diff(np.pad(mask, ((1, 1), (0, 0))).astype(np.int8), axis=0).T
    x, first = np.nonzero(steps == 1)
    last = np.nonzero(steps == -1)[1]
    thin = last - first <= max(3.0, THIN * side)
    x, thick, y = x[thin], (last - first)[thin], ((first + last - 1) / 2)[thin]
    if len(x) > MOST_RUNS * width:
        return []
    found: list[_Line] = []
    while len(found) < MOST_LINES and len(x) >= SHORTEST * side:
        used, line = _longest(x, y, thick, mask.shape)
        if line is not None:
            found.append(line)
        elif not used.any():
            break
        x, y, thick = x[~used], y[~used], thick[~used]
    return sorted(found, key=lambda line: -line.length)


def _longest(
    x: np.ndarray, y: np.ndarray, thick: np.ndarray, shape: tuple[int, int]
) -> tuple[np.ndarray, _Line | None]:
    """Of runs with the middles (x, y): which lie on the line with most of them, and this line if it is one."""
    height, width = shape
    side = max(shape)
    reach = int(np.ceil(SLOPES[-1] * width / 2)) + 2
    bins = height + 2 * reach + 1
    across = np.rint(y[None] - SLOPES[:, None] * (x[None] - width / 2)).astype(np.int64) + reach
    counts = np.bincount((across + bins * np.arange(len(SLOPES))[:, None]).ravel(), minlength=bins * len(SLOPES))
    counts = counts.reshape(len(SLOPES), bins)
    counts[:, 1:-1] = counts[:, :-2] + counts[:, 1:-1] + counts[:, 2:]
    slope, place = np.unravel_index(int(counts.argmax()), counts.shape)
    none = np.zeros(len(x), bool)
    if counts[slope, place] < SHORTEST * side * CHAINED:
        return none, None
    off = y - (SLOPES[slope] * (x - width / 2) + place - reach)
    near = abs(off) <= 2
    reached = 2 + 0.5 * float(np.median(thick[near]))
    for _ in range(2):
        near = abs(off) <= reached
        fit = np.polyfit(x[near], y[near], 1) if np.ptp(x[near]) > 4 else (0.0, float(y[near].mean()))
        off = y - np.polyval(fit, x)
    near = abs(off) <= reached
    order = np.flatnonzero(near)[np.argsort(x[near], kind="stable")]
    # the longest chain without a gap
    cuts = np.flatnonzero(np.diff(x[order]) > max(4.0, BRIDGED * side)) + 1
    chain = max(np.split(order, cuts), key=len)
    used = np.zeros(len(x), bool)
    used[chain] = True
    start, stop = int(x[chain[0]]), int(x[chain[-1]]) + 1
    columns = len(np.unique(x[chain]))
    thickness = float(np.median(thick[chain]))
    if stop - start < SHORTEST * side or columns < CHAINED * (stop - start) or stop - start < 2.5 * thickness:
        return used, None
    beside = ~near & (abs(off) <= reached + max(3.0, thickness)) & (x >= start) & (x < stop)
    if len(np.unique(x[beside])) > BESIDE * (stop - start):
        return used, None
    # a hand's line wavers: its place is a running mean over a tenth of its length
    at = np.arange(start, stop)
    own = np.interp(at, x[chain], off[chain])
    smooth = ndimage.uniform_filter1d(own, max(1, (stop - start) // 10), mode="nearest")
    return used, _Line(start, stop, np.polyval(fit, at) + smooth, thickness)


def _band(line: _Line, shape: tuple[int, int]) -> tuple[np.ndarray, float]:
    """(H, length) bool: the pixels of a line in its columns, and half its thickness with its edges."""
    half = line.thickness / 2 + 1.0
    return abs(np.arange(shape[0])[:, None] - line.middle[None]) <= half, half


def _removed(mask: np.ndarray, level: list[_Line], steep: list[_Line]) -> np.ndarray:
    """(H, W) bool without the lines, but with what they cross."""
    bands = np.zeros_like(mask), np.zeros_like(mask)
    longest = [0.0, 0.0]
    for which, lines in enumerate((level, steep)):
        band = bands[which] if which == 0 else bands[which].T
        for line in lines:
            pixels, half = _band(line, band.shape)
            band[:, line.start : line.stop] |= pixels
            longest[which] = max(longest[which], half)
    rest = mask & ~bands[0] & ~bands[1]
    kept = rest
    for which in (0, 1):
        if not longest[which]:
            continue
        length = int(2 * np.ceil(longest[which])) + 4
        straight = np.ones((length, 1) if which == 0 else (1, length), bool)
        for element in (straight, np.eye(length, dtype=bool), np.eye(length, dtype=bool)[::-1]):
            padded = np.pad(rest, length)
            closed = ndimage.binary_erosion(ndimage.binary_dilation(padded, element), element)
            kept = kept | (closed[length:-length, length:-length] & mask & bands[which] & ~bands[1 - which])
    return kept


def _rest(mask: np.ndarray, level: list[_Line], steep: list[_Line]) -> _Rest | None:
    """What is left without these lines; None if that is nothing of the size of a digit."""
    ink = _removed(mask, level, steep)
    labels, count = ndimage.label(ink, EVERY)
    if not count:
        return None
    areas = np.bincount(labels.ravel())[1:]
    boxes = ndimage.find_objects(labels)
    large = [box for box, area in zip(boxes, areas, strict=True) if area >= 0.15 * areas.max()]
    top, bottom = min(box[0].start for box in large), max(box[0].stop for box in large)
    left, right = min(box[1].start for box in large), max(box[1].stop for box in large)
    if max(bottom - top, right - left) < SHORTEST * max(mask.shape):
        return None
    return _Rest(ink, top, bottom, left, right)


def _cells(mask: np.ndarray, level: list[_Line], steep: list[_Line]) -> tuple[list[_Line], list[_Line]]:
    """The lines of rectangles with ink in them."""
    tolerance = CORNER * max(mask.shape)
    rectangles = []
    for a, upper in enumerate(level):
        for lower in level[a + 1 :]:
            one, other = sorted((upper, lower), key=lambda line: line.place)
            crossing = [line for line in steep if _meets(line, one, other, tolerance)]
            for b, line in enumerate(crossing):
                for next_line in crossing[b + 1 :]:
                    left, right = sorted((line, next_line), key=lambda line: line.place)
                    if _meets(one, left, right, tolerance) and _meets(other, left, right, tolerance):
                        rectangles.append((one, other, left, right))
    rectangles = [r for r in rectangles if min(r[1].place - r[0].place, r[3].place - r[2].place) > 3 * tolerance]
    if not rectangles:
        return [], []
    out_level = _unique([line for r in rectangles for line in r[:2]])
    out_steep = _unique([line for r in rectangles for line in r[2:]])
    rest = _rest(mask, out_level, out_steep)
    if rest is None:
        return [], []
    labels, _ = ndimage.label(rest.ink, EVERY)
    boxes = ndimage.find_objects(labels)
    for top, bottom, left, right in rectangles:
        for rows, columns in boxes:
            tall, middle = rows.stop - rows.start, (rows.start + rows.stop) / 2
            if (
                tall >= LEAST_FILLED * (bottom.place - top.place)
                and top.place < middle < bottom.place
                and left.place < (columns.start + columns.stop) / 2 < right.place
            ):
                return out_level, out_steep
    return [], []


def _meets(line: _Line, one: _Line, other: _Line, tolerance: float) -> bool:
    """Whether a line runs from one of two lines of the other direction to the other; ends may lie beyond them."""
    first, last = one.place, other.place
    return line.start <= first + tolerance and line.stop >= last - tolerance


def _unique(lines: list[_Line]) -> list[_Line]:
    return list({id(line): line for line in lines}.values())


def _through(mask: np.ndarray, lines: list[_Line]) -> list[_Line]:
    """Of lines from left to right those of ruled paper or a table: they run through the whole picture.

    A digit cut out along its edges may have a stroke that does so, too, but then its other ink lies at the border.
    """
    height, width = mask.shape
    margin = max(2.0, MARGIN * width)
    whole = [line for line in lines if line.start <= margin and line.stop >= width - margin]
    if not whole:
        return []
    rest = _rest(mask, whole, [])
    if rest is None:
        return []
    if len(whole) >= 3:
        return whole
    edge = max(3.0, MARGIN * min(mask.shape))
    clear = min(rest.top, rest.left, height - rest.bottom, width - rest.right) >= edge
    return whole if clear else []


def _underline(
    mask: np.ndarray, level: list[_Line], steep: list[_Line]
) -> tuple[list[_Line], list[_Line]]:
    """A line under all the ink, with the ticks that stand on it, as on forms."""
    tolerance = CORNER * max(mask.shape)
    for line in level:
        ticks = [
            tick
            for tick in steep
            if min(abs(tick.place - line.start), abs(tick.place - line.stop)) <= tolerance
            and abs(tick.stop - line.place) <= tolerance
            and tick.length <= 0.6 * line.length
        ]
        for out in ([ticks, []] if ticks else [[]]):
            rest = _rest(mask, [line], out)
            if rest is not None and _is_under(mask, line, rest, out):
                return [line], out
    return [], []


def _is_under(mask: np.ndarray, line: _Line, rest: _Rest, ticks: list[_Line]) -> bool:
    tall, spare = rest.height, 0.1 * rest.width
    if line.place < rest.bottom - UNDERLINE * tall or line.thickness > 0.25 * tall or tall < 0.1 * line.length:
        return False
    if line.start > rest.left + spare or line.stop < rest.right - spare:
        return False
    beyond = min(rest.left - line.start, line.stop - rest.right)
    if len(ticks) == 2 and line.length >= 0.8 * tall and beyond > 0:
        return True
    top = float(line.middle.min()) - line.thickness / 2
    if top - rest.bottom >= 0.05 * tall and line.length >= max(0.8 * rest.width, 0.35 * tall):
        return tall >= 0.5 * rest.width or line.length >= rest.width
    if beyond < 0.08 * tall:
        return False
    inside = ndimage.distance_transform_edt(rest.ink[rest.top : rest.bottom, rest.left : rest.right])
    stroke = 4 * (inside[inside > 0].mean() - 0.5)  # of a ribbon of width w the mean distance to the edge is w / 4
    return line.length >= (0.8 if line.thickness <= 0.6 * stroke else 1.2) * tall
