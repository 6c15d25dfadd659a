"""Digits in frames, on forms and on lines, and in 23 kinds of picture files: how many are read right.

    python -m benchmarks.framed PENDIGITS [--checkpoint pen] [--count 8] [--json]

Renders digits of PENDIGITS, a file of pen strokes, with each kind of frame in each style (benchmarks/pictures.py) and
in each kind of file, and prints the share that is read right and not refused, and that of the same digits without a
frame, by five folds of the writers. The shipped model `pen` has learned from these writers' strokes: what is measured
here is how the lines are set aside, against the same digits without them, not how strangers are read.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

import numpy as np

from benchmarks.pictures import FRAMES, KINDS, STYLES, framed
from mnist_core.data.splits import natural_sort_key
from mnist_core.data.stroke_files import StrokeFile, read_strokes
from mnist_core.drawing.images import read_picture
from mnist_core.inference.predictor import Predictor

FOLDS = 5


def folds(file: StrokeFile) -> np.ndarray:
    """(N,) int64: the fold of each digit's writer; neighbours in natural order share a fold."""
    names = sorted({digit.writer for digit in file.digits}, key=natural_sort_key)
    fold = {name: place * FOLDS // len(names) for place, name in enumerate(names)}
    return np.array([fold[digit.writer] for digit in file.digits])


def spread(found: dict[str, dict[int, list[bool]]], title: str) -> dict[str, dict[str, float]]:
    """Prints and returns each row's share, and the mean and standard deviation over folds of all rows together."""
    rows = {}
    every: dict[int, list[bool]] = defaultdict(list)
    for name, by_fold in found.items():
        shares = [float(np.mean(right)) for right in by_fold.values()]
        rows[name] = {"right": float(np.mean(np.concatenate(list(by_fold.values())))), "lowest fold": min(shares)}
        for fold, right in by_fold.items():
            every[fold] += right
        print(f"{name:28} {rows[name]['right']:7.2%}", flush=True)
    shares = [float(np.mean(right)) for right in every.values()]
    rows[title] = {"right": float(np.mean(shares)), "std": float(np.std(shares, ddof=1)), "lowest fold": min(shares)}
    count = sum(map(len, every.values()))
    print(f"{title}: {np.mean(shares):.2%} ± {np.std(shares, ddof=1):.2%} over {len(shares)} folds, {count} pictures\n")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pendigits", type=Path)
    parser.add_argument("--checkpoint", default="pen")
    parser.add_argument("--count", type=int, default=8, help="digits of each fold for a frame in a style (default: 8)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    file, predictor = read_strokes(options.pendigits), Predictor(options.checkpoint)
    fold, labels, classes = folds(file), file.labels(), file.classes()

    def right(picture: np.ndarray, row: int) -> bool:
        said = predictor.predict(picture)
        return said.is_digit and said.digit is not None and predictor.card.classes[said.digit] == classes[labels[row]]

    frames: dict[str, dict[int, list[bool]]] = {name: defaultdict(list) for name in [*FRAMES, "without a frame"]}
    styles: dict[str, dict[int, list[bool]]] = {name: defaultdict(list) for name in STYLES}
    kinds: dict[str, dict[int, list[bool]]] = {name: defaultdict(list) for name in KINDS}
    for number in range(FOLDS):
        rng = np.random.default_rng(number)
        rows = np.flatnonzero(fold == number)
        for name in FRAMES:
            for style in STYLES:
                for row in rng.choice(rows, options.count, replace=False):
                    picture = framed(file.digits[row].strokes, name, style, rng, file.y_axis)
                    read = right(picture, row)
                    frames[name][number].append(read)
                    styles[style][number].append(read)
                row = int(rng.choice(rows))
                plain = framed(file.digits[row].strokes, "none", style, rng, file.y_axis)
                frames["without a frame"][number].append(right(plain, row))
        for name, render in KINDS.items():
            for row in rng.choice(rows, options.count, replace=False):
                data = render(file.digits[row].strokes, rng)
                kinds[name][number].append(right(read_picture(data), row))
    result = {"frames": {}, "styles": {}, "kinds": {}}
    without = {"without a frame": frames.pop("without a frame")}
    result["frames"] = spread(frames, "with a frame")
    result["styles"] = spread(styles, "in any style")
    result["plain"] = spread(without, "the same styles")
    result["kinds"] = spread(kinds, "kinds of files")
    if options.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
