"""Digits on squared paper and on a sheet on a dark table are read as well as on plain paper.

    python -m benchmarks.papers PENDIGITS [--checkpoint pen] [--count 40]

Renders digits of PENDIGITS, a file of pen strokes, on paper with printed squares (30 and 60 px apart, lines of 2 and 3
px and three tones, pictures of three sizes, with and without noise, upright and turned by 2 to 10°) and on sheets on
tables (three tones, three sizes, turned by up to 8°, in uneven light), and prints how many are read right and not
refused.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import numpy as np
from PIL import Image

from mnist_core.data.stroke_files import read_strokes
from mnist_core.drawing.preprocess import to_model_input
from mnist_core.drawing.strokes import Strokes, render_strokes
from mnist_core.inference.predictor import Predictor

INK, PAPER = 40, 235


def squared(
    drawn: np.ndarray, apart: int, line: int, width: int, noise: float, rng: np.random.Generator, angle: float = 0
) -> np.ndarray:
    """(H, W) uint8 white on black → dark on paper with printed squares, all turned by `angle` degrees."""
    y, x = np.mgrid[: drawn.shape[0], : drawn.shape[1]].astype(float)
    turn, first, printed = np.radians(angle), int(rng.integers(5, apart)), np.zeros(drawn.shape)
    for across in (y * np.cos(turn) - x * np.sin(turn), x * np.cos(turn) + y * np.sin(turn)):
        place = (across - first + 1) % apart - 1
        printed = np.maximum(printed, np.clip(np.minimum(place + 1, width - place), 0, 1))  # the share of the pixel
    if angle:
        drawn = np.asarray(Image.fromarray(drawn).rotate(-angle, Image.Resampling.BILINEAR))
    paper = PAPER + (line - PAPER) * printed
    picture = paper + (INK - paper) * (drawn / 255) + rng.normal(0, 1, drawn.shape) * noise
    return np.clip(picture, 0, 255).astype(np.uint8)


def on_table(drawn: np.ndarray, table: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """(H, W) uint8 white on black → a photo, 600 × 800 px, of a sheet that takes about that share of it."""
    width, height = 600, 800
    side = (share * width * height) ** 0.5
    sheet = Image.new("L", (int(min(0.85 * side, 0.95 * width)), int(min(side / 0.85, 0.97 * height))), PAPER - 15)
    pen = Image.fromarray(drawn).resize((int(0.8 * sheet.width),) * 2)
    room = max(0.06, 0.9 - 0.8 * sheet.width / sheet.height)
    sheet.paste(
        Image.new("L", pen.size, INK), (int(0.1 * sheet.width), int(rng.uniform(0.05, room) * sheet.height)), pen
    )
    angle = float(rng.uniform(-8, 8))
    mask = Image.new("L", sheet.size, 255).rotate(angle, expand=True)
    sheet = sheet.rotate(angle, expand=True)
    photo = Image.new("L", (width, height), table)
    photo.paste(sheet, ((width - sheet.width) // 2, (height - sheet.height) // 2), mask)
    light = np.linspace(0.8, 1, width)
    return np.clip(np.asarray(photo) * light + rng.normal(0, 3, (height, width)), 0, 255).astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pendigits", type=Path)
    parser.add_argument("--checkpoint", default="pen")
    parser.add_argument("--count", type=int, default=40)
    options = parser.parse_args()
    file, predictor, rng = read_strokes(options.pendigits), Predictor(options.checkpoint), np.random.default_rng(0)
    classes, labels = file.classes(), file.labels()
    chosen = rng.choice(len(labels), options.count, replace=False)

    def right(picture: np.ndarray, row: int) -> bool:
        said = predictor.predict(picture)
        return said.is_digit and said.digit is not None and predictor.card.classes[said.digit] == classes[labels[row]]

    def drawn(strokes: Strokes, side: int, brush: float) -> np.ndarray:
        height = float(rng.uniform(0.4, 0.7))
        return render_strokes(strokes, file.box, file.y_axis, canvas=side, brush=brush, height=height)

    for angle, line in itertools.product((0, 2, -4, 6, -8, 10), (110, 150, 185)):
        cases = itertools.product(chosen, (30, 60), (280, 400, 800), (0, 3))
        found = []
        for row, apart, side, noise in cases:
            pen = drawn(file.digits[row].strokes, side, side / 20)
            found.append(right(squared(pen, apart, line, 2 + row % 2, noise, rng, angle), row))
        print(f"squares in grey {line}, turned by {angle}°: {sum(found)} of {len(found)}", flush=True)
    blank = [
        to_model_input(squared(np.zeros((side, side), np.uint8), apart, line, 3, noise, rng, angle)) is None
        for angle, line, apart, side, noise in itertools.product(
            (0, 2, -4, 6, -8, 10), (110, 150, 185), (30, 40, 60), (280, 400, 800), (0, 3)
        )
    ]
    print(f"squares without a digit, blank: {sum(blank)} of {len(blank)}", flush=True)
    for table in (20, 60, 110):
        found = [
            right(on_table(drawn(file.digits[row].strokes, 280, 14), table, share, rng), row)
            for row, share in itertools.product(chosen, (0.3, 0.5, 0.8))
        ]
        print(f"a sheet on a table in grey {table}: {sum(found)} of {len(found)}", flush=True)


if __name__ == "__main__":
    main()
