"""Digits drawn awkwardly: how much of a model's accuracy survives tiny, huge, shaky, speckled and photographed ones.

    python -m benchmarks.drawing pen --strokes DATA/pendigits-train.json.gz --writers 21-30 [--digits 500]

Each condition draws the same digits. By it a step of `mnist_core/drawing/preprocess.py` is kept or dropped.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import ndimage

from benchmarks.drawn import writers
from mnist_core.data.stroke_files import StrokeFile, read_strokes
from mnist_core.drawing.strokes import render_strokes
from mnist_core.inference.predictor import Predictor
from mnist_core.models.checkpoint import find_checkpoint

Canvas = np.ndarray  # (280, 280) uint8, light on dark
Condition = Callable[[list, StrokeFile, np.random.Generator], Canvas]


def drawn(brush: float = 20, height: float = 0.7, centre: tuple[float, float] = (0.5, 0.5)) -> Condition:
    return lambda strokes, sheet, _: render_strokes(
        strokes, sheet.box, sheet.y_axis, brush=brush, height=height, centre=centre
    )


def slanted(degrees: float) -> Condition:
    """Leaning to the right, for positive degrees."""
    lean = math.tan(math.radians(degrees))

    def draw(strokes: list, sheet: StrokeFile, _: np.random.Generator) -> Canvas:
        up = 1 if sheet.y_axis == "up" else -1
        moved = [[(x + up * lean * y, y) for x, y in stroke] for stroke in strokes]
        return render_strokes(moved, sheet.box, sheet.y_axis, brush=20, height=0.7)

    return draw


def speckled(strokes: list, sheet: StrokeFile, chance: np.random.Generator) -> Canvas:
    """Five dots of a slipped pen, anywhere: a third of the brush wide."""
    canvas = drawn()(strokes, sheet, chance).copy()
    y, x = np.mgrid[:280, :280]
    for _ in range(5):
        row, column = chance.uniform(0, 280, 2)
        canvas[(y - row) ** 2 + (x - column) ** 2 < 3.5**2] = 255
    return canvas


def photographed(shadow: float, noise: float = 4.0) -> Condition:
    """Ink on white paper in uneven light: a ramp, and a hard shadow's edge that takes `shadow` of the light."""

    def draw(strokes: list, sheet: StrokeFile, chance: np.random.Generator) -> Canvas:
        ink = ndimage.gaussian_filter(drawn(10, 0.5)(strokes, sheet, chance) / 255.0, 1.2)
        y, x = np.mgrid[-1:1:280j, -1:1:280j]
        angle, place = chance.uniform(0, 2 * math.pi), chance.uniform(-0.6, 0.6)
        across = x * math.cos(angle) + y * math.sin(angle)
        light = 0.85 + 0.1 * across
        light = light * (1 - shadow / (1 + np.exp(-(across - place) / 0.015)))
        paper = 235 * light * (1 - 0.75 * ink)
        return np.uint8(np.clip(paper + chance.normal(0, noise, paper.shape), 0, 255))

    return draw


CONDITIONS: dict[str, Condition] = {
    "as usual": drawn(),
    "tiny (15 %)": drawn(8, 0.15),
    "small (25 %)": drawn(12, 0.25),
    "huge (over the edge, 108 %)": drawn(20, 1.08),
    "hair line (4 px)": drawn(4, 0.7),
    "thick brush (40 px)": drawn(40, 0.9),
    "in a corner": drawn(12, 0.35, (0.2, 0.8)),
    "slanted 25° right": slanted(25),
    "slanted 25° left": slanted(-25),
    "specks": speckled,
    "photo, even light": photographed(0.0),
    "photo, soft shadow (20 %)": photographed(0.2),
    "photo, hard shadow (45 %)": photographed(0.45),
}


def accuracy(predictor: Predictor, condition: Condition, sheet: StrokeFile, rows: list[int]) -> tuple[float, float]:
    """Share of the digits read right, and share in which nothing to read was found."""
    classes, labels, chance = sheet.classes(), sheet.labels(), np.random.default_rng(0)
    right = blank = 0
    for row in rows:
        digit = predictor.predict(condition(sheet.digits[row].strokes, sheet, chance)).digit
        blank += digit is None
        right += digit is not None and predictor.card.classes[digit] == classes[labels[row]]
    return right / len(rows), blank / len(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", help="a name under checkpoints/ or the path of a checkpoint folder")
    parser.add_argument("--strokes", type=Path, required=True, help="pen strokes, JSON or gzipped JSON")
    parser.add_argument("--writers", type=writers, help="only these, such as 21-30 (default: all)")
    parser.add_argument("--digits", type=int, default=500, help="how many, evenly over the file (default: 500)")
    options = parser.parse_args()
    sheet = read_strokes(options.strokes)
    rows = [n for n, d in enumerate(sheet.digits) if options.writers is None or str(d.writer) in options.writers]
    rows = rows[:: max(1, len(rows) // options.digits)][: options.digits]
    predictor = Predictor(find_checkpoint(options.checkpoint))
    print(f"{len(rows)} digits a condition; read right, and found blank")
    for name, condition in CONDITIONS.items():
        right, blank = accuracy(predictor, condition, sheet, rows)
        print(f"{name:30} {right:7.2%} {blank:7.2%}", flush=True)


if __name__ == "__main__":
    main()
