"""Pictures of digits and numbers, rendered from pen strokes: framed, on forms, in every kind of file, side by side."""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from mnist_core.drawing.strokes import Strokes

FINE = 4  # drawn at this multiple and averaged
Paths = list[np.ndarray]  # (points, 2) float64 each, in px, y downwards
Rng = np.random.Generator


# ---- ink ------------------------------------------------------------------------------------------------------------


def upright(strokes: Strokes, y_axis: str = "up") -> Paths:
    """Pen trajectories → paths of height 1 (width, for a character that is wider), from the top left corner."""
    paths = [np.asarray(stroke, np.float64).reshape(-1, 2) for stroke in strokes if len(stroke)]
    points = np.concatenate(paths)
    if y_axis == "up":
        points[:, 1] *= -1
    points -= points.min(0)
    points /= max(points.max(), 1e-9)
    return list(np.split(points, np.cumsum([len(path) for path in paths])[:-1]))


def placed(paths: Paths, left: float, top: float, height: float) -> Paths:
    """Paths of `upright` → the same at (left, top) px, their longest side `height` px."""
    return [path * height + (left, top) for path in paths]


def inked(size: tuple[int, int], paths: Paths, brush: float) -> np.ndarray:
    """Paths in px → (H, W) float64 in [0, 1], the share of each pixel that a round pen of `brush` px covers."""
    width, height = size
    image = Image.new("L", (width * FINE, height * FINE))
    pen = ImageDraw.Draw(image)
    radius = brush * FINE / 2
    for path in paths:
        path = path * FINE
        pen.line([tuple(point) for point in path], fill=255, width=max(1, round(brush * FINE)))
        for x, y in path:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return np.asarray(image.reduce(FINE)) / 255


def _moved(paths: Paths, x: float, y: float) -> Paths:
    return [path + np.array([x, y]) for path in paths]


def line(a: Sequence[float], b: Sequence[float]) -> np.ndarray:
    return np.array([a, b], np.float64)


def by_hand(path: np.ndarray, rng: Rng, wobble: float) -> np.ndarray:
    """A polygon as a hand draws it: its sides bent by up to about `wobble` px."""
    drawn = []
    for a, b in itertools.pairwise(path):
        share = np.linspace(0, 1, 12)[:, None]
        across = np.array([-(b - a)[1], (b - a)[0]]) / max(np.hypot(*(b - a)), 1e-9)
        waves = np.sin(share * rng.uniform(2, 5) + rng.uniform(0, 6)) * rng.normal(0, wobble)
        drawn.append(a + (b - a) * share + across * waves)
    return np.concatenate(drawn)


def rectangle(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom), (left, top)], np.float64)


# ---- frames and lines -----------------------------------------------------------------------------------------------

Lines = Callable[[tuple[float, float, float, float], int, Rng], tuple[Paths, float]]
"""From the digit's box, the picture's side and chance: the lines' paths and their width, in px."""


def _around(box: tuple[float, float, float, float], gap: float) -> np.ndarray:
    side = max(box[2] - box[0], box[3] - box[1])
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    half = side * (0.5 + gap)
    return rectangle(x - half, y - half, x + half, y + half)


def _printed(low: float, high: float, widths: tuple[float, float]) -> Lines:
    return lambda box, side, rng: ([_around(box, rng.uniform(low, high))], rng.uniform(*widths) * side / 200)


def _hand_drawn(box: tuple[float, float, float, float], side: int, rng: Rng) -> tuple[Paths, float]:
    frame = by_hand(_around(box, rng.uniform(0.15, 0.28)), rng, side * 0.008)
    frame += rng.normal(0, side * 0.004, frame.shape)
    return [frame[: len(frame) - int(rng.integers(0, 3))]], 0  # 0: the pen of the digit


def _round_corners(box: tuple[float, float, float, float], side: int, rng: Rng) -> tuple[Paths, float]:
    corners = _around(box, rng.uniform(0.15, 0.35))
    (left, top), (right, bottom) = corners[0], corners[2]
    radius = (right - left) * rng.uniform(0.08, 0.25)
    turn = np.linspace(0, math.pi / 2, 8)
    path = []
    for x, y, start in ((right, top, -1), (right, bottom, 0), (left, bottom, 1), (left, top, 2)):
        centre = (x - radius if x == right else x + radius, y - radius if y == bottom else y + radius)
        angle = turn + start * math.pi / 2
        path += [(centre[0] + radius * math.cos(a), centre[1] + radius * math.sin(a)) for a in angle]
    return [np.array([*path, path[0]])], rng.uniform(2, 6) * side / 200


def _circle(box: tuple[float, float, float, float], side: int, rng: Rng) -> tuple[Paths, float]:
    corners = _around(box, rng.uniform(0.28, 0.4))
    centre, radius = (corners[0] + corners[2]) / 2, (corners[2] - corners[0])[0] / 2
    angle = np.linspace(0, 2 * math.pi, 60)
    return [centre + radius * np.stack([np.cos(angle), np.sin(angle)], 1)], rng.uniform(2, 7) * side / 200


def _double(box: tuple[float, float, float, float], side: int, rng: Rng) -> tuple[Paths, float]:
    gap = rng.uniform(0.15, 0.25)
    return [_around(box, gap), _around(box, gap + 0.07)], 2 * side / 200


def _touched(box: tuple[float, float, float, float], side: int, rng: Rng) -> tuple[Paths, float]:
    """One or two sides run through the digit's ends."""
    left, top, right, bottom = (*_around(box, 0.25)[0], *_around(box, 0.25)[2])
    deep = rng.uniform(0.02, 0.12) * (box[3] - box[1])
    for which in rng.choice(4, rng.integers(1, 3), replace=False):
        left = box[0] + deep if which == 0 else left
        top = box[1] + deep if which == 1 else top
        right = box[2] - deep if which == 2 else right
        bottom = box[3] - deep if which == 3 else bottom
    return [rectangle(left, top, right, bottom)], rng.uniform(1.5, 4) * side / 200


def _dashed(box: tuple[float, float, float, float], side: int, rng: Rng) -> tuple[Paths, float]:
    corners = _around(box, rng.uniform(0.15, 0.3))
    dash = rng.uniform(0.03, 0.07) * side
    paths = []
    for a, b in itertools.pairwise(corners):
        length = np.hypot(*(b - a))
        for start in np.arange(0, length, 1.8 * dash):
            paths.append(line(a + (b - a) * start / length, a + (b - a) * min(start + dash, length) / length))
    return paths, 2 * side / 200


def _table(box: tuple[float, float, float, float], side: int, rng: Rng) -> tuple[Paths, float]:
    cell = _around(box, rng.uniform(0.12, 0.25))
    (left, top), (right, bottom) = cell[0], cell[2]
    paths = [line((-9, y), (side + 9, y)) for y in (top, bottom)]
    return paths + [line((x, -9), (x, side + 9)) for x in (left, right)], rng.uniform(1.5, 4) * side / 200


def _row(box: tuple[float, float, float, float], side: int, rng: Rng) -> tuple[Paths, float]:
    """A row of cells of a form, of which the picture shows one and parts of its neighbours."""
    cell = _around(box, rng.uniform(0.12, 0.25))
    (left, top), (right, bottom) = cell[0], cell[2]
    paths = [line((-9, y), (side + 9, y)) for y in (top, bottom)]
    return paths + [line((x, top), (x, bottom)) for x in (left, right)], rng.uniform(1.5, 4) * side / 200


def _comb(box: tuple[float, float, float, float], side: int, rng: Rng) -> tuple[Paths, float]:
    """A base line with ticks at its ends."""
    cell = _around(box, rng.uniform(0.12, 0.2))
    (left, top), (right, bottom) = cell[0], cell[2]
    tick = bottom - rng.uniform(0.2, 0.45) * (bottom - top)
    return [np.array([(left, tick), (left, bottom), (right, bottom), (right, tick)])], rng.uniform(1.5, 4) * side / 200


def _underlined(gap: tuple[float, float], hand: bool) -> Lines:
    def draw(box: tuple[float, float, float, float], side: int, rng: Rng) -> tuple[Paths, float]:
        height, width = box[3] - box[1], box[2] - box[0]
        over = max(0.15 * width, (0.9 * height - width) / 2)
        y = box[3] + rng.uniform(*gap) * height
        path = line((box[0] - over, y), (box[2] + over, y + rng.normal(0, 0.02) * height))
        return [by_hand(path, rng, side * 0.004) if hand else path], 0 if hand else rng.uniform(2, 4) * side / 200

    return draw


def _ruled(box: tuple[float, float, float, float], side: int, rng: Rng) -> tuple[Paths, float]:
    apart = (box[3] - box[1]) * rng.uniform(0.5, 1.2)
    first = rng.uniform(0, apart)
    return [line((-9, y), (side + 9, y)) for y in np.arange(first, side, apart)], rng.uniform(1, 2.5) * side / 200


def _struck(box: tuple[float, float, float, float], side: int, rng: Rng) -> tuple[Paths, float]:
    """A table's border runs through the digit, from one side of the picture to the other."""
    place = rng.uniform(0.15, 0.85)
    if rng.random() < 0.5:
        y = box[1] + place * (box[3] - box[1])
        return [line((-9, y), (side + 9, y))], rng.uniform(1, 3) * side / 200
    x = box[0] + place * (box[2] - box[0])
    return [line((x, -9), (x, side + 9))], rng.uniform(1, 3) * side / 200


def _none(box: tuple[float, float, float, float], side: int, rng: Rng) -> tuple[Paths, float]:
    return [], 1


FRAMES: dict[str, Lines] = {
    "printed box": _printed(0.15, 0.4, (1.5, 4)),
    "close box": _printed(0.09, 0.14, (1.5, 3)),
    "thick box": _printed(0.2, 0.35, (6, 12)),
    "box by hand": _hand_drawn,
    "round corners": _round_corners,
    "circle": _circle,
    "double box": _double,
    "touched box": _touched,
    "dashed box": _dashed,
    "cell of a table": _table,
    "row of cells": _row,
    "comb": _comb,
    "underlined": _underlined((0.12, 0.3), hand=False),
    "underlined by hand": _underlined((0.12, 0.3), hand=True),
    "touching underline": _underlined((-0.01, 0.03), hand=False),
    "ruled": _ruled,
    "struck": _struck,
}
STYLES = ("paper", "grey lines", "coloured", "canvas", "photo", "turned")


def framed(strokes: Strokes, kind: str, style: str, rng: Rng, y_axis: str = "up", side: int = 280) -> np.ndarray:
    """One digit with lines of a kind of FRAMES → (side, side) or (side, side, 3) uint8.

    Any other kind has no lines. `style` is one of STYLES: ink and lines black on white; lines in grey, or in colour;
    white on black; a photo with shadow and noise; turned by up to 4°.
    """
    brush = rng.uniform(0.03, 0.075) * side
    paths = upright(strokes, y_axis)
    extent = np.concatenate(paths).max(0)
    tall = rng.uniform(0.38, 0.5) * side
    left, top = side / 2 - extent[0] * tall / 2, side / 2 - extent[1] * tall / 2
    left, top = left + rng.uniform(-0.03, 0.03) * side, top + rng.uniform(-0.03, 0.03) * side
    paths = placed(paths, left, top, tall)
    reach = brush / 2
    points = np.concatenate(paths)
    box = (*(points.min(0) - reach), *(points.max(0) + reach))
    lines, width = FRAMES.get(kind, _none)(box, side, rng)
    if style == "turned":
        angle = math.radians(rng.uniform(-4, 4))
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        paths, lines = ([(path - side / 2) @ turn.T + side / 2 for path in part] for part in (paths, lines))
    ink, printed = inked((side, side), paths, brush), inked((side, side), lines, width or brush)
    return composed(ink, printed, style, rng)


def composed(ink: np.ndarray, printed: np.ndarray, style: str, rng: Rng) -> np.ndarray:
    """(H, W) float64 in [0, 1] of ink and of printed lines → the picture of that style, uint8."""
    if style == "canvas":
        return np.uint8(np.rint(255 * np.maximum(ink, printed)))
    tones = {"grey lines": [float(rng.uniform(90, 170))], "coloured": [(60, 90, 200), (210, 60, 60)][rng.integers(2)]}
    tone = np.array(tones.get(style, [20.0]), np.float64)
    page = 250 + (tone - 250) * printed[:, :, None]
    page = page + (25 - page) * ink[:, :, None]
    page = page[:, :, 0] if page.shape[2] == 1 else page
    return photographed(page, rng) if style == "photo" else np.uint8(np.rint(page))


def photographed(page: np.ndarray, rng: Rng, shadow: float = 0.35, noise: float = 3) -> np.ndarray:
    """(H, W) or (H, W, 3) of a bright page → uint8: blurred, in uneven light, with a soft shadow and noise."""
    page = ndimage.gaussian_filter(page, (0.8, 0.8, 0)[: page.ndim])
    y, x = np.mgrid[-1 : 1 : page.shape[0] * 1j, -1 : 1 : page.shape[1] * 1j]
    angle, place = rng.uniform(0, 2 * math.pi), rng.uniform(-0.6, 0.6)
    across = x * math.cos(angle) + y * math.sin(angle)
    light = (0.85 + 0.1 * across) * (1 - shadow / (1 + np.exp(-(across - place) / 0.1)))
    light = light if page.ndim == 2 else light[:, :, None]
    return np.uint8(np.clip(page * light + rng.normal(0, noise, page.shape), 0, 255))


# ---- kinds of pictures ----------------------------------------------------------------------------------------------


def _page(strokes: Strokes, rng: Rng, side: int = 300, brush: float = 14, height: float = 0.5, y_axis: str = "up"):
    """(side, side) float64 in [0, 1]: the ink of one digit near the middle."""
    paths = upright(strokes, y_axis)
    extent = np.concatenate(paths).max(0) * height * side
    shift = rng.uniform(-0.05, 0.05, 2) * side
    return inked((side, side), placed(paths, *((side - extent) / 2 + shift), height * side), brush)


def _dark(ink: np.ndarray, paper: float = 250, tone: float = 30) -> np.ndarray:
    return np.uint8(np.rint(paper + (tone - paper) * ink))


def encoded(picture: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def _lined(ink: np.ndarray, apart: float, rng: Rng, both: bool, tone: float = 185) -> np.ndarray:
    side = len(ink)
    first = rng.uniform(5, apart)
    lines = [line((-9, y), (side + 9, y)) for y in np.arange(first, side, apart)]
    if both:
        lines += [line((x, -9), (x, side + 9)) for x in np.arange(first, side, apart)]
    page = 245 + (tone - 245) * inked((side, side), lines, 2)
    return np.uint8(np.rint(page + (30 - page) * ink))


def _squared_over(strokes: Strokes, rng: Rng) -> bytes:
    """Thin ink on squared paper whose lines are lighter than it and lie over it, photographed."""
    ink = _page(strokes, rng, side=450, brush=rng.uniform(8, 13), height=0.4)[:, :, None]
    page = 245 + (np.array([40, 42, 48]) - 245) * ink
    lines = [line((-9, y), (459, y)) for y in np.arange(rng.uniform(5, 22), 450, 22)]
    lines += [path[:, ::-1] for path in lines]
    printed = inked((450, 450), lines, 2)[:, :, None]
    page = page + (np.array([176, 190, 214]) - page) * printed
    return encoded(Image.fromarray(photographed(page, rng)), "JPEG", quality=88)


def _turned(strokes: Strokes, rng: Rng) -> bytes:
    picture = Image.fromarray(_dark(_page(strokes, rng)))
    exif = Image.Exif()
    exif[0x0112] = 6  # is to be turned by 90° clockwise
    return encoded(picture.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif, quality=92)


def _transparent(value: int) -> Callable[[Strokes, Rng], bytes]:
    def draw(strokes: Strokes, rng: Rng) -> bytes:
        ink = _page(strokes, rng)
        tone = np.full(ink.shape, value, np.uint8)
        return encoded(Image.fromarray(np.dstack([tone, tone, tone, np.uint8(255 * ink)])))

    return draw


def _corner(strokes: Strokes, rng: Rng) -> bytes:
    page = np.full((900, 1200), 250, np.uint8)
    small = _dark(_page(strokes, rng, side=140, brush=6, height=0.7))
    row, column = (20, 740)[rng.integers(2)], (20, 1040)[rng.integers(2)]
    page[row : row + 140, column : column + 140] = small
    return encoded(Image.fromarray(page), "JPEG", quality=90)


def _board(strokes: Strokes, rng: Rng) -> bytes:
    """Chalk: a light, grainy stroke on a dark green ground that is not even."""
    ink = _page(strokes, rng, brush=12) * rng.uniform(0.55, 1, (300, 300))
    ground = np.array([40, 70, 55]) + 8 * ndimage.gaussian_filter(rng.normal(0, 1, (300, 300, 1)), (12, 12, 0)) * 12
    page = ground + (np.array([225, 228, 220]) - ground) * ink[:, :, None]
    return encoded(Image.fromarray(np.uint8(np.clip(page + rng.normal(0, 3, page.shape), 0, 255))), "JPEG", quality=90)


def _ballpoint(strokes: Strokes, rng: Rng) -> bytes:
    ink = ndimage.gaussian_filter(_page(strokes, rng, side=600, brush=9), 0.8)[:, :, None]
    page = np.array([236, 234, 228]) * (1 - ink) + np.array([45, 60, 150]) * ink
    return encoded(Image.fromarray(photographed(page, rng, shadow=0.1)), "JPEG", quality=88)


def _cropped(strokes: Strokes, rng: Rng) -> bytes:
    page = _dark(_page(strokes, rng))
    rows, columns = np.nonzero(page < 128)
    return encoded(Image.fromarray(page[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]))


def _small(strokes: Strokes, rng: Rng) -> bytes:
    return encoded(Image.fromarray(_dark(_page(strokes, rng, side=280, brush=22, height=0.7))).resize((28, 28)))


def _on_table(strokes: Strokes, rng: Rng) -> bytes:
    from benchmarks.papers import on_table

    ink = _page(strokes, rng, side=280, height=0.6)
    return encoded(Image.fromarray(on_table(np.uint8(255 * ink), 60, 0.5, rng)), "JPEG", quality=90)


def _plain(change: Callable[[Image.Image], Image.Image] = lambda picture: picture, kind: str = "PNG", **options):
    pen = {name: options.pop(name) for name in ("brush", "height") if name in options}
    return lambda strokes, rng: encoded(change(Image.fromarray(_dark(_page(strokes, rng, **pen)))), kind, **options)


KINDS: dict[str, Callable[[Strokes, Rng], bytes]] = {
    "plain": _plain(),
    "photo with shadow": lambda strokes, rng: encoded(
        Image.fromarray(photographed(_dark(_page(strokes, rng)).astype(float), rng)), "JPEG", quality=88
    ),
    "ruled": lambda strokes, rng: encoded(Image.fromarray(_lined(_page(strokes, rng), 40, rng, both=False))),
    "squared": lambda strokes, rng: encoded(Image.fromarray(_lined(_page(strokes, rng), 30, rng, both=True))),
    "squares over the ink": _squared_over,
    "turned by EXIF": _turned,
    "CMYK": _plain(lambda picture: picture.convert("RGB").convert("CMYK"), "JPEG", quality=90),
    "16 bits": _plain(lambda picture: Image.fromarray(np.asarray(picture).astype(np.uint16) * 257)),
    "transparent, white ink": _transparent(255),
    "transparent, black ink": _transparent(0),
    "palette": _plain(lambda picture: picture.convert("P"), "GIF"),
    "bilevel": _plain(lambda picture: picture.convert("1"), "PNG"),
    "3 px thin": _plain(brush=3),
    "46 px thick": _plain(brush=46, height=0.75),
    "tiny in a corner": _corner,
    "ballpoint": _ballpoint,
    "chalk": _board,
    "cropped to the edge": _cropped,
    "faint pencil": lambda strokes, rng: encoded(
        Image.fromarray(np.uint8(_dark(_page(strokes, rng, brush=7), 238, 190) + rng.normal(0, 1.5, (300, 300)))),
        "JPEG",
    ),
    "28×28": _small,
    "WebP": _plain(kind="WEBP", quality=80),
    "JPEG of low quality": _plain(kind="JPEG", quality=20),
    "on a table": _on_table,
}
"""Kinds of picture files that are read without a frame: a digit's strokes (y upwards) and chance → the file."""


# ---- numbers --------------------------------------------------------------------------------------------------------


def number(
    digits: Sequence[Strokes], gap: tuple[float, float], rng: Rng, y_axis: str = "up", tall: float = 120
) -> tuple[np.ndarray, list[tuple[float, float, float, float]]]:
    """Digits side by side → (H, W) float64 ink in [0, 1], and the box (x, y, w, h) of each, in px.

    `gap` is the range of the space between neighbours' ink, in shares of a digit's mean width; 0 or less touches. The
    digits of one number have one pen and about one size, and stand on one line, as a hand writes.
    """
    brush = rng.uniform(0.06, 0.13) * tall
    shapes = []
    for strokes in digits:
        paths = upright(strokes, y_axis)
        extent = np.concatenate(paths).max(0)
        tallest = max(extent[1], 0.6)  # a digit wider than high keeps to the line's height
        shapes.append([path / tallest * tall * rng.uniform(0.92, 1.08) for path in paths])
    widths = [np.concatenate(paths)[:, 0].max() + brush for paths in shapes]
    x, layers, boxes = 0.6 * tall, [], []
    size = (int(sum(widths) + tall * (1.2 + 0.6 * len(digits))), int(2.2 * tall))
    occupied = np.full(size[1], -np.inf)
    for paths in shapes:
        bottom = 1.6 * tall + rng.uniform(-0.04, 0.04) * tall
        moved = _moved(paths, 0, bottom - np.concatenate(paths)[:, 1].max())
        ink = inked(size, _moved(moved, brush, 0), brush)
        rows, columns = np.nonzero(ink > 0.4)
        firsts = np.full(size[1], np.inf)
        np.minimum.at(firsts, rows, columns)
        space = rng.uniform(*gap) * float(np.mean(widths))
        if not boxes:
            shift = x - firsts.min()
        elif gap[1] <= 0:  # touching: moved on until the inks meet, and a little further
            shift = np.max(occupied - firsts) + 1 + space
        else:  # a gap between the columns, as boxes stand apart
            shift = occupied.max() + 1 + space - firsts.min()
        drawn = inked(size, _moved(moved, brush + shift, 0), brush)
        rows, columns = np.nonzero(drawn > 0.4)
        np.maximum.at(occupied, rows, columns)
        boxes.append((columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1))
        layers.append(drawn)
    ink = np.max(layers, axis=0)
    right = int(max(b[0] + b[2] for b in boxes) + 0.5 * tall)
    return ink[:, :right], [tuple(float(v) for v in box) for box in boxes]
