"""Frames and lines: what is printed or drawn around, under or through a digit is set aside before it is read.

A frame surrounds what is in it and does not touch it. A line is found as the longest straight chain of thin runs of ink
(a Hough transform, Duda and Hart, 1972, of the middles of the runs), and where it crosses a stroke, the stroke stays.
"""

from __future__ import annotations

import itertools
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
LEAST_FILLED = 0.2  # of a frame's height that the digit in it has
RECTANGULAR = 0.9  # of its box that a rectangle fills, also with round corners
ROUND, ROUNDER = 0.8, 0.9  # breadth by length of what is round: others are a 0, and a slash in it may touch nothing
SLASH = (0.35, 0.3)  # a slash: at most this breadth by length; it leans, as a sine, by this at least
DASH = 0.12  # of the digit's height: how wide a piece of a dashed frame is at most
TURNED = 7  # degrees that a line may be turned
SLOPES = np.tan(np.radians(np.arange(-TURNED, TURNED + 0.1, 0.5)))
THIN = 0.09  # of the picture's longer side: no line is thicker
SHORTEST = 0.1  # of the picture's longer side: no line is shorter
BRIDGED = 0.1  # of it: a gap in a line, such as a stroke that crosses it
MOST_RUNS = 20  # thin runs in a column, on average; texture has more
MOST_LINES = 20  # in one direction
MOST_TRIED = 8  # rectangles, from the largest on
CHAINED = 0.55  # of a line's columns that have its ink: dashes have no more
OWN = 0.35  # of a line's columns that have nothing but the line
STRAIGHT = (0.8, 0.012)  # px, and share of its length, that a line strays, as a standard deviation: it may be by hand
BESIDE = 0.5  # of a line's columns that have a thin run right beside it, at most; texture has more
SAMPLED = 3  # of the columns and slopes, one in so many tells whether there may be a line
LONG = 0.75  # of all ink's width: no side of a frame and no underline is shorter
EDGE = 2.0  # px: an end this near to the picture's border touches it; a digit drawn large stays further away
MARGIN = 0.02  # of the picture's side: ink this near to its border may go on beyond it
MOSTLY = 0.6  # of all ink that is no line, which lies in a frame
CORNER = 0.06  # of the picture's longer side: how far from each other two lines of a corner end
THINNER = 0.55  # of a digit's strokes: a line as thin as this is none of them
ALIKE = 0.8  # of a digit's strokes: a line thicker than this may be one of them
LEAST_ALONG = 0.25  # of a line's length that the digits beside it have in its direction
UNDERLINE = 0.12  # of the digits' height: how far above their foot an underline is at most
BASE = (0.45, 1.6)  # of the height of what is left: how far the base of a 2 reaches beyond it, and how long it is


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
        if _surrounds(piece, box) and not _may_be_zero(
            piece[boxes[number]], np.isin(labels, np.flatnonzero(within) + 1)
        ):
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


def _may_be_zero(piece: np.ndarray, inner: np.ndarray) -> bool:
    """Whether a closed piece of ink, (h, w) bool, is a 0 and `inner`, (H, W) bool, its slash, which touches nothing."""
    filled = ndimage.binary_fill_holes(piece)
    if filled.mean() >= RECTANGULAR:
        return False
    breadth, lean = _shape(inner)
    return _shape(filled)[0] < (ROUND if breadth > SLASH[0] or lean < SLASH[1] else ROUNDER)


def _shape(ink: np.ndarray) -> tuple[float, float]:
    """Of ink, bool: its standard deviation across its main axis by that along it; the sine of this axis' lean."""
    spread, axes = np.linalg.eigh(np.cov(np.argwhere(ink).T))
    return float((max(spread[0], 0) / max(spread[1], 1e-9)) ** 0.5), float(abs(axes[1, 1]))


def _dashes(labels: np.ndarray, sides: np.ndarray, known: set[int]) -> set[int]:
    """The numbers of the pieces that together surround the largest other piece: dashes, or four strokes."""
    heights, widths = sides[:, 1] - sides[:, 0], sides[:, 3] - sides[:, 2]
    areas = np.bincount(labels.ravel(), minlength=len(sides) + 1)[1:].astype(float)
    areas[list(known)] = 0
    # a line has a large box only if it runs askew
    core = int(np.argmax(np.minimum(heights, widths) * np.maximum(heights, widths) * (areas > 0)))
    thin = np.minimum(heights, widths) <= max(3.0, DASH * max(heights[core], widths[core]))
    top, bottom, left, right = sides[core]
    outside = (sides[:, 1] <= top) | (sides[:, 0] >= bottom) | (sides[:, 3] <= left) | (sides[:, 2] >= right)
    chosen = [int(n) for n in np.flatnonzero(thin & outside) if n != core and n not in known]
    if len(chosen) < 4:
        return set()
    return set(chosen) if _surrounds(np.isin(labels, np.array(chosen) + 1), (top, bottom, left, right)) else set()


def _without(ink: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Ink without the pixels of `out`, (H, W) bool, and without their blurred edges."""
    kept = ndimage.binary_dilation((ink > INK) & ~out, EVERY)
    return np.where(out | (ndimage.binary_dilation(out, EVERY, iterations=2) & ~kept), 0, ink).astype(ink.dtype)


# ---- lines ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Runs:
    """The runs of ink in the columns of a picture: column, first row, row behind the last."""

    x: np.ndarray
    first: np.ndarray
    last: np.ndarray

    @staticmethod
    def of(mask: np.ndarray) -> _Runs:
        height, width = mask.shape
        columns = np.zeros((width, height + 2), bool)
        columns[:, 1:-1] = mask.T
        # in each column, runs begin and end by turns
        x, rows = np.divmod(np.flatnonzero(columns[:, 1:] != columns[:, :-1]), height + 1)
        return _Runs(x[::2], rows[::2], rows[1::2])


@dataclass(frozen=True, eq=False)
class _Line:
    """A line along the columns of a picture from `start` to `stop` (exclusive); `middle` is its place in each column.

    `reach` is how far there is ink at its place, which may be that of a stroke.
    """

    start: int
    stop: int
    middle: np.ndarray
    thickness: float
    reach: tuple[int, int]

    @property
    def length(self) -> int:
        return self.stop - self.start

    @property
    def place(self) -> float:
        return float(self.middle.mean())

    @property
    def thickest(self) -> float:
        """Of a run of ink that is nothing but this line."""
        return 1.5 * self.thickness + 2


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

    def stroke(self) -> float:
        """The width of its strokes in px: in a ribbon of width w the mean distance to the edge is w / 4."""
        part = np.pad(self.ink[self.top : self.bottom, self.left : self.right], 1)
        inside = ndimage.distance_transform_edt(part)
        return float(4 * (inside[inside > 0].mean() - 0.5))


def _without_lines(ink: np.ndarray) -> np.ndarray:
    mask = ink > INK
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return ink
    tall, wide = 1 + int(np.ptp(rows)), 1 + int(np.ptp(columns))
    across = columns[0] < EDGE and columns[-1] >= mask.shape[1] - EDGE
    down = rows[0] < EDGE and rows[-1] >= mask.shape[0] - EDGE
    # a drawing has neither as a rule, and is to be read while the pen is down
    level = _lines(mask, LONG * wide) if across or _may_have_line(mask, wide) else []
    boxed = sum(line.length >= LONG * wide for line in level) > 1
    under = any(line.length >= LONG * wide and line.place >= rows[-1] - 0.3 * tall for line in level)
    if not (boxed or under or across or down):
        return ink
    steep = _lines(mask.T, 0.0) if boxed or under or down else []
    out_level, out_steep = _cells(mask, level, steep) if boxed else ([], [])
    if across:
        out_level += [line for line in _through(mask, level) if line not in out_level]
    if down:
        out_steep += [line for line in _through(mask.T, steep) if line not in out_steep]
    if not out_level and not out_steep and under:
        out_level, out_steep = _underline(mask, level, steep)
    if not out_level and not out_steep:
        return ink
    kept = _removed(mask, out_level, out_steep)
    return _without(ink, mask & ~kept)


def _may_have_line(mask: np.ndarray, wide: int) -> bool:
    """Whether a straight chain of thin runs may be nearly as wide as the ink: by every third column and slope."""
    runs = _Runs.of(mask[:, ::SAMPLED])
    thin = runs.last - runs.first <= max(3.0, THIN * max(mask.shape))
    if thin.sum() * SAMPLED < CHAINED * LONG * wide:
        return False
    x, y = runs.x[thin] * SAMPLED, (runs.first[thin] + runs.last[thin]) / 2
    lowest = min(0.0, float(SLOPES[0]) * mask.shape[1])
    slopes = SLOPES[::SAMPLED]
    # bins of 4 px, of which two neighbours count together
    place = ((y[None] - slopes[:, None] * x[None] - lowest) / 4).astype(np.int64)
    bins = int(place.max()) + 2
    counts = np.bincount((place + bins * np.arange(len(slopes))[:, None]).ravel(), minlength=bins * len(slopes))
    counts[:-1] += counts[1:]
    return bool(counts.max() * SAMPLED >= CHAINED * LONG * wide)


def _lines(mask: np.ndarray, least: float) -> list[_Line]:
    """(H, W) bool → the straight lines of `least` px that run from left to right, the longest first."""
    side = max(mask.shape)
    least = max(least, SHORTEST * side)
    runs = _Runs.of(mask)
    thick = runs.last - runs.first
    thin = thick <= max(3.0, THIN * side)
    x, thick, y = runs.x[thin], thick[thin], ((runs.first + runs.last - 1) / 2)[thin]
    if len(x) > MOST_RUNS * mask.shape[1]:
        return []
    found: list[_Line] = []
    for _ in range(2 * MOST_LINES):
        if len(x) < OWN * least or len(found) == MOST_LINES:
            break
        used, line = _longest(x, y, thick, mask, least)
        if line is not None:
            found.append(line)
        elif not used.any():
            break
        x, y, thick = x[~used], y[~used], thick[~used]
    return sorted(found, key=lambda line: -line.length)


def _longest(
    x: np.ndarray, y: np.ndarray, thick: np.ndarray, mask: np.ndarray, least: float
) -> tuple[np.ndarray, _Line | None]:
    """Of thin runs with the middles (x, y): which lie on the line with most of them, and this line if it is one."""
    height, width = mask.shape
    side = max(mask.shape)
    reach = int(np.ceil(SLOPES[-1] * width / 2)) + 2
    bins = height + 2 * reach + 1
    across = np.rint(y[None] - SLOPES[:, None] * (x[None] - width / 2)).astype(np.int64) + reach
    counts = np.bincount((across + bins * np.arange(len(SLOPES))[:, None]).ravel(), minlength=bins * len(SLOPES))
    counts = counts.reshape(len(SLOPES), bins)
    counts[:, 1:-1] = counts[:, :-2] + counts[:, 1:-1] + counts[:, 2:]
    slope, place = np.unravel_index(int(counts.argmax()), counts.shape)
    if counts[slope, place] < OWN * least:
        return np.zeros(len(x), bool), None
    off = y - (SLOPES[slope] * (x - width / 2) + place - reach)
    near = abs(off) <= 2
    # strokes that lie along the line are thicker than it is
    thickness = float(np.percentile(thick[near], 30))
    reached, alike = 2 + 0.5 * thickness, thick <= 1.5 * thickness + 2
    for _ in range(2):
        near = (abs(off) <= reached) & alike
        fit = np.polyfit(x[near], y[near], 1) if np.ptp(x[near]) > 4 else (0.0, float(y[near].mean()))
        off = y - np.polyval(fit, x)
    near = (abs(off) <= reached) & alike
    if not near.any():
        return abs(off) <= reached, None
    # the longest chain without a gap: what crosses the line, or lies on it, is ink at its place
    at = np.arange(width)
    rows = np.clip(np.rint(np.polyval(fit, at)).astype(int), 0, height - 1)
    inked = mask[rows, at]
    inked[x[near]] = True
    along = np.flatnonzero(inked)
    chains = np.split(along, np.flatnonzero(np.diff(along) > max(4.0, BRIDGED * side)) + 1)
    own = np.zeros(width, bool)
    own[x[near]] = True
    chain = max(chains, key=lambda columns: own[columns].sum())
    used = near & (x >= chain[0]) & (x <= chain[-1])
    if not used.any():
        return near, None
    start, stop = int(x[used].min()), int(x[used].max()) + 1
    covered = inked[start:stop].mean(), own[start:stop].mean()
    if stop - start < max(least, 2.5 * thickness) or covered[0] < CHAINED or covered[1] < OWN:
        return used, None
    if off[used].std() > STRAIGHT[0] + STRAIGHT[1] * (stop - start):
        return used, None
    beside = (abs(off) > reached) & (abs(off) <= reached + max(3.0, thickness)) & (x >= start) & (x < stop)
    if len(np.unique(x[beside])) > BESIDE * (stop - start):
        return used, None
    # a hand's line wavers: its place is a running mean over a tenth of its length
    order = np.flatnonzero(used)[np.argsort(x[used], kind="stable")]
    at = np.arange(start, stop)
    smooth = ndimage.uniform_filter1d(np.interp(at, x[order], off[order]), max(1, (stop - start) // 10), mode="nearest")
    ends = int(chain[0]), int(chain[-1]) + 1
    return used, _Line(start, stop, np.polyval(fit, at) + smooth, float(np.median(thick[used])), ends)


def _removed(mask: np.ndarray, level: list[_Line], steep: list[_Line], mended: bool = True) -> np.ndarray:
    """(H, W) bool without the lines, but with what they cross; if `mended`, also what runs nearly along them."""
    out, bands, halves = [], [], []
    for turned, lines in ((mask, level), (mask.T, steep)):
        runs = _Runs.of(turned) if lines else None
        gone = np.zeros((turned.shape[0] + 1, turned.shape[1]), np.int32)
        band = np.zeros(turned.shape, bool)
        for line in lines:
            assert runs is not None
            inside = np.flatnonzero((runs.x >= line.start) & (runs.x < line.stop))
            x, first, last = runs.x[inside], runs.first[inside], runs.last[inside]
            middle, half = line.middle[x - line.start], line.thickness / 2 + 1
            # a thicker run is a stroke that the line crosses or touches
            alone = (first <= middle + half) & (last >= middle - half) & (last - first <= line.thickest)
            np.add.at(gone, (first[alone], x[alone]), 1)
            np.add.at(gone, (last[alone], x[alone]), -1)
            band[:, line.start : line.stop] |= abs(np.arange(len(band))[:, None] - line.middle[None]) <= half
        gone_here = np.cumsum(gone, axis=0)[:-1] > 0
        out.append(gone_here if turned is mask else gone_here.T)
        bands.append(band if turned is mask else band.T)
        halves.append(max((line.thickness / 2 + 1 for line in lines), default=0.0))
    gone = out[0] | out[1] | (bands[0] & bands[1])
    rest = mask & ~gone
    kept = rest
    for which, half in enumerate(halves):
        if half and mended:  # a stroke that runs nearly along the line is restored where it goes on at both sides
            length = int(2 * np.ceil(half)) + 3
            straight = np.ones((length, 1) if which == 0 else (1, length), bool)
            for element in (straight, np.eye(length, dtype=bool), np.eye(length, dtype=bool)[::-1]):
                padded = np.pad(rest, length)
                closed = ndimage.binary_erosion(ndimage.binary_dilation(padded, element), element)
                kept = kept | (closed[length:-length, length:-length] & mask & out[which] & ~bands[1 - which])
    return kept


def _rest(mask: np.ndarray, level: list[_Line], steep: list[_Line], mended: bool = False) -> _Rest | None:
    """What is left without these lines; None if that is nothing of the size of a digit."""
    ink = _removed(mask, level, steep, mended)
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
    """The lines of rectangles with ink in them: the sides of the largest, and what parts it into cells."""
    tolerance = CORNER * max(mask.shape)
    rectangles = []
    for a, line in enumerate(level):
        for other in level[a + 1 :]:
            upper, lower = sorted((line, other), key=lambda line: line.place)
            crossing = sorted(
                (line for line in steep if _meets(line, upper, lower, tolerance)), key=lambda line: line.place
            )
            for left, right in itertools.combinations(crossing, 2):
                if _meets(upper, left, right, tolerance) and _meets(lower, left, right, tolerance):
                    size = lower.place - upper.place, right.place - left.place
                    if min(size) > 2 * tolerance:
                        rectangles.append((size[0] * size[1], (upper, lower), (left, right)))
    rectangles.sort(key=lambda found: -found[0])
    for _, rows, columns in rectangles[:MOST_TRIED]:
        if not _holds(_rest(mask, [*rows], [*columns], mended=True), rows, columns):
            continue
        out = [*rows, *_parting(rows, columns, level)], [*columns, *_parting(columns, rows, steep)]
        return out if _holds(_rest(mask, *out, mended=True), rows, columns) else ([*rows], [*columns])
    return [], []


def _holds(rest: _Rest | None, rows: tuple[_Line, _Line], columns: tuple[_Line, _Line]) -> bool:
    """Whether most ink lies between two lines across and two lines down, with a piece of the size of a digit."""
    if rest is None:
        return False
    top, bottom, left, right = (max(0, round(line.place)) for line in (*rows, *columns))
    if rest.ink[top:bottom, left:right].sum() < MOSTLY * rest.ink.sum():
        return False
    least = max(LEAST_FILLED * (bottom - top), SHORTEST * max(rest.ink.shape))
    for down, across in ndimage.find_objects(ndimage.label(rest.ink, EVERY)[0]):
        inside = top < (down.start + down.stop) / 2 < bottom and left < (across.start + across.stop) / 2 < right
        if inside and down.stop - down.start >= least:
            return True
    return False


def _parting(sides: tuple[_Line, _Line], ends: tuple[_Line, _Line], lines: list[_Line]) -> list[_Line]:
    """Those of the lines which are parallel to two sides, as thin, and end on two others or go beyond them."""
    thickest = 1.3 * max(side.thickness for side in sides) + 1
    slack = 2 + 2 * thickest
    return [
        line
        for line in lines
        if line not in sides and line.thickness <= thickest and _meets(line, *ends, tolerance=slack)
    ]


def _meets(line: _Line, one: _Line, other: _Line, tolerance: float) -> bool:
    """Whether a line runs from one of two lines of the other direction to the other; ends may lie beyond them."""
    return line.reach[0] <= one.place + tolerance and line.reach[1] >= other.place - tolerance


def _through(mask: np.ndarray, lines: list[_Line]) -> list[_Line]:
    """Of lines from left to right those of ruled paper or a table: they run through the whole picture.

    A digit cut out along its edges may have a stroke that does so, too, but then its other ink lies at the border.
    """
    height, width = mask.shape
    whole = [line for line in lines if line.start <= EDGE and line.stop >= width - EDGE]
    if not whole:
        return []
    rest = _rest(mask, whole, [])
    if rest is None:
        return []
    if len(whole) >= 3:
        return whole
    edge = max(3.0, MARGIN * min(mask.shape))
    if min(rest.top, rest.left, height - rest.bottom, width - rest.right) < edge:
        return []
    return [line for line in whole if _is_foreign(mask, line, rest)]


def _is_foreign(mask: np.ndarray, line: _Line, rest: _Rest) -> bool:
    """Whether a line is no stroke of the digit: it is much thinner, or touches nothing, or is somewhat thinner and the
    digit lies on both sides."""
    if rest.width < LEAST_ALONG * line.length:
        return False
    stroke = rest.stroke()
    if _stands_apart(mask, line, rest) or line.thickness <= THINNER * stroke:
        return True
    if line.thickness > ALIKE * stroke:
        return False  # the stem of a large 4 has ink on both sides, too
    place = np.interp(np.arange(mask.shape[1]), np.arange(line.start, line.stop), line.middle)
    before = float((rest.ink & (np.arange(len(mask))[:, None] < place)).sum() / rest.ink.sum())
    return 0.3 <= before <= 0.7


def _stands_apart(mask: np.ndarray, line: _Line, rest: _Rest) -> bool:
    """Whether no ink of the rest is joined to the line."""
    labels, _ = ndimage.label(mask, EVERY)
    columns = np.arange(line.start, line.stop)
    own = labels[np.clip(np.rint(line.middle).astype(int), 0, len(mask) - 1), columns]
    joined = np.isin(labels, own[own > 0]) & rest.ink
    return bool(joined.sum() <= 0.02 * rest.ink.sum())


def _underline(mask: np.ndarray, level: list[_Line], steep: list[_Line]) -> tuple[list[_Line], list[_Line]]:
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
        for out in [ticks, []] if len(ticks) == 2 else [[]]:
            rest = _rest(mask, [line], out)
            if rest is not None and _is_under(mask, line, rest, out):
                return [line], out
    return [], []


def _is_under(mask: np.ndarray, line: _Line, rest: _Rest, ticks: list[_Line]) -> bool:
    tall, spare = rest.height, 0.1 * rest.width
    if line.middle.max() + line.thickness / 2 >= len(mask) - 2:
        return False  # the foot of a digit that goes over the edge
    if line.place < rest.bottom - UNDERLINE * tall or line.thickness > 0.25 * tall or tall < 0.1 * line.length:
        return False
    if line.start > rest.left + spare or line.stop < rest.right - spare:
        return False
    beyond = min(rest.left - line.start, line.stop - rest.right)
    if len(ticks) == 2 and line.length >= 0.8 * tall and beyond > 0:
        return True
    if _stands_apart(mask, line, rest):
        return line.length >= max(0.8 * rest.width, 0.35 * tall)
    if line.thickness <= THINNER * rest.stroke():
        return beyond >= 0.08 * tall and line.length >= 0.8 * tall
    return beyond >= BASE[0] * tall and line.length >= BASE[1] * tall
