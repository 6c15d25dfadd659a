"""Outliers: images of no digit, such as letters, print, scribbles, several digits and filled shapes.

Each is drawn on a canvas of 280×280 px and goes through `preprocess.to_model_input`, as a drawing on the Draw page
does. Letters that are written like a digit are left out: C D O Q (0), I J i j l (1), Z z (2), S s (5), G b (6), T t r
(7), B (8), Y a g q y (4 and 9), and those whose small form is the same. A scribble may look like a digit by chance.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.interpolate import make_interp_spline

from mnist_core.drawing.preprocess import to_model_input
from mnist_core.drawing.strokes import render_strokes
from mnist_core.system.threads import map_in_threads

CANVAS = 280
# strokes in a box of 4 × 4, y downwards; a stroke of five or more points is a smooth curve
_LETTERS = {
    "A": "04 20 44|1.2,2.6 2.8,2.6",
    "E": "00 04|00 30|02 2.5,2|04 34",
    "F": "00 04|00 30|02 2.5,2",
    "H": "00 04|30 34|02 32",
    "K": "00 04|30 02|02 34",
    "L": "00 04 24",
    "M": "04 00 22|22 40 44",
    "N": "04 00 34|34 30",
    "P": "00 04|00 1.5,0 2.5,.5 2.5,1.5 1.5,2 02",
    "R": "00 04|00 1.5,0 2.5,.5 2.5,1.5 1.5,2 02|12 34",
    "U": "00 02 0.2,3.2 1.5,4 2.8,3.2 32 30",
    "V": "00 24 40",
    "W": "00 14 21|21 34 40",
    "X": "00 34|30 04",
    "d": "2.5,2.2 1.5,1.8 .3,2.3 03 .5,3.9 1.6,3.9 2.5,3|2.5,0 2.5,4",
    "e": "03 2.5,3|2.5,3 2.4,2.2 1.4,1.7 .3,2.2 03 .4,3.8 1.4,4 2.5,3.6",
    "f": "2.5,.4 1.8,0 1.2,.6 12 14|02 2.2,2",
    "h": "00 04|02.8 .6,2 1.6,1.7 2.3,2.3 2.4,4",
    "k": "00 04|22 03|03 2.2,4",
    "m": "02 04|02.8 .6,2 1.3,2 1.7,2.7 1.7,4|1.7,2.8 2.3,2 3,2 3.4,2.7 3.4,4",
    "n": "02 04|02.8 .6,2 1.6,1.7 2.3,2.3 2.4,4",
    "w": "02 14 22|22 34 42",
}
PRINTED = "AEFHKLMNPRUVWXdefhkmnuvwx#&%?@*+="


def _points(stroke: str) -> np.ndarray:
    """`04 2.5,2` → [[0, 4], [2.5, 2]]."""
    pairs = (point.split(",") if "," in point else (point[0], point[1:]) for point in stroke.split())
    return np.array([[float(x), float(y)] for x, y in pairs])


LETTERS = {letter: [_points(stroke) for stroke in strokes.split("|")] for letter, strokes in _LETTERS.items()}


def _curve(points: np.ndarray) -> np.ndarray:
    """(N, 2) → (8 N, 2): a cubic spline through the points, over chord length."""
    along = np.concatenate([[0], np.cumsum(np.maximum(np.linalg.norm(np.diff(points, axis=0), axis=1), 1e-3))])
    return np.asarray(make_interp_spline(along, points, k=3)(np.linspace(0, along[-1], 8 * len(points))))


def _render(strokes: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Strokes of about unit size → a canvas, with a random brush, height and place."""
    height = rng.uniform(0.35, 0.9)
    x, y = rng.uniform(-0.5, 0.5, 2) * (0.9 - height) + 0.5
    brush = rng.uniform(12, 28) if height > 0.6 else rng.uniform(12, 20)
    return render_strokes(strokes, (1, 1), canvas=CANVAS, brush=brush, height=height, centre=(x, y))


def letter(rng: np.random.Generator) -> np.ndarray:
    """A handwritten letter, jittered → (280, 280) uint8, white on black."""
    strokes = LETTERS[rng.choice(list(LETTERS))]
    angle, shear = rng.normal(0, 0.12), rng.normal(0.1, 0.2)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ [[1, -shear], [0, 1]]
    matrix *= [rng.uniform(0.7, 1.2), 1]
    jittered = [stroke + rng.normal(0, 0.12, stroke.shape) for stroke in strokes]
    return _render([(_curve(s) if len(s) > 4 else s) @ matrix.T for s in jittered], rng)


def printed(rng: np.random.Generator) -> np.ndarray:
    """A letter or sign in Pillow's default typeface → (280, 280) uint8, white on black."""
    sheet = Image.new("L", (CANVAS, CANVAS))
    x, y = rng.uniform(0.4, 0.6, 2) * CANVAS
    font = ImageFont.load_default(size=rng.uniform(120, 260))
    weight = int(rng.integers(0, 7))
    ImageDraw.Draw(sheet).text(
        (x, y), rng.choice(list(PRINTED)), fill=255, font=font, anchor="mm", stroke_width=weight, stroke_fill=255
    )
    return np.asarray(sheet)


def scribble(rng: np.random.Generator) -> np.ndarray:
    """One to three smooth random walks of 6 to 14 steps → (280, 280) uint8, white on black."""
    strokes = []
    for _ in range(rng.choice([1, 2, 3], p=[0.6, 0.3, 0.1])):
        steps = rng.normal(0, 1, (rng.integers(6, 15), 2))
        strokes.append(_curve(np.cumsum(steps, axis=0) * 0.5 + rng.normal(0, 2, (len(steps), 2))))
    return _render(strokes, rng)


def filled(rng: np.random.Generator) -> np.ndarray:
    """A filled polygon of 3 to 12 corners, which may cover nearly all of the canvas → (280, 280) uint8."""
    sheet = Image.new("L", (CANVAS, CANVAS))
    angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 13)))
    reach = rng.uniform(60, 200)
    corners = CANVAS / 2 + reach * rng.uniform(0.6, 1, (len(angles), 1)) * np.c_[np.cos(angles), np.sin(angles)]
    ImageDraw.Draw(sheet).polygon([tuple(corner) for corner in corners], fill=255)
    return np.asarray(sheet)


def several(digits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(M, 28, 28) uint8 digits → two or three of them side by side on a (280, 280) uint8 canvas, white on black."""
    count = rng.choice([2, 3], p=[0.75, 0.25])
    sheet = np.zeros((CANVAS, CANVAS), np.uint8)
    side = int(rng.uniform(0.6, 1.3) * CANVAS / count)
    left = (CANVAS - count * side * 0.72) / 2
    for number, picture in enumerate(digits[rng.integers(0, len(digits), count)]):
        size = int(side * rng.uniform(0.9, 1.1))
        large = np.asarray(Image.fromarray(picture).resize((size, size), Image.Resampling.BICUBIC))
        columns = np.flatnonzero(large.max(0) > 40)
        large = large[:, columns[0] : columns[-1] + 1]
        x = int(np.clip(left + (number + 0.5) * side * 0.72 - large.shape[1] / 2, 0, CANVAS - large.shape[1]))
        y = int(np.clip(CANVAS / 2 - size / 2 + rng.normal(0, 8), 0, max(CANVAS - size, 0)))
        here = sheet[y : y + size, x : x + large.shape[1]]
        np.maximum(here, large[: here.shape[0]], out=here)
    return sheet


KINDS: dict[str, Callable[..., np.ndarray]] = {
    "letters": letter,
    "print": printed,
    "scribbles": scribble,
    "several digits": several,
    "filled": filled,
}


def canvases(kind: str, count: int, seed: int, digits: np.ndarray | None = None) -> list[np.ndarray]:
    """`count` canvases, (280, 280) uint8, white on black; a function of `kind`, `seed` and the canvas's number.

    `digits`, (M, 1, 28, 28) or (M, 28, 28) uint8, are the images that "several digits" places side by side.
    """
    return map_in_threads(lambda number: _draw(kind, number, seed, digits), range(count), _workers())


def non_digits(kind: str, count: int, seed: int, digits: np.ndarray | None = None) -> np.ndarray:
    """→ (count, 1, 28, 28) uint8: the model's inputs for non-digits of `kind`; see `canvases`.

    A blank canvas, for which `to_model_input` gives None, is replaced by the next.
    """

    def model_input(number: int) -> np.ndarray:
        attempt = number
        while (picture := to_model_input(_draw(kind, attempt, seed, digits))) is None:
            attempt += count
        return picture

    return np.stack(map_in_threads(model_input, range(count), _workers()))[:, None]


def _draw(kind: str, number: int, seed: int, digits: np.ndarray | None) -> np.ndarray:
    rng = np.random.default_rng([seed, number, list(KINDS).index(kind)])
    if kind != "several digits":
        return KINDS[kind](rng)
    if digits is None:
        raise ValueError("'several digits' are composed of digits: pass some.")
    return several(digits.reshape(-1, 28, 28), rng)


def _workers() -> int:
    return min(4, os.cpu_count() or 1)
