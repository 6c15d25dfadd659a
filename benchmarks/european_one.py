"""A 1 with a flag is read as a 1, or doubted, and not taken for a sure 7.

    python -m benchmarks.european_one [CHECKPOINT ...]
    python -m benchmarks.european_one --drawings FILE --strokes DATA/pendigits-train.json.gz

Renders ones with flags and feet of every length, at several angles, slants, brushes and sizes, and prints for each
length of the flag (as a share of the height) how many are read as a 1, refused, or taken for a sure 7.

`--drawings` writes what `pen` was taught in the end (docs/models.md): generated ones with flags of up to 0.46 of the
height, at other angles and slants than those above, beside all sevens and 900 other digits of the pen strokes.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mnist_core.drawing.strokes import european_one, render_strokes
from mnist_core.inference.predictor import Predictor
from mnist_core.system.settings import data_folder

FLAGS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
FEET, ANGLES, SLANTS = (0.0, 0.3, 0.5), (30, 45, 60, 75), (-0.1, 0.0, 0.15, 0.3)
ONES, OTHERS = 1400, 900
PENS = tuple(itertools.product((12, 20), (0.5, 0.8)))  # brush in px, height as a share of the canvas


def canvases(flag: float) -> Iterator[np.ndarray]:
    """192 ones with a flag of that length, (280, 280) uint8, white on black."""
    for foot, angle, slant, (brush, height) in itertools.product(FEET, ANGLES, SLANTS, PENS):
        yield render_strokes(european_one(flag, foot, angle, slant), (1, 1), brush=brush, height=height)


def judge(predictor: Predictor, flag: float) -> Counter[str]:
    """How many are "a 1", "refused", "a sure 7" and "another digit"."""
    found: Counter[str] = Counter()
    for canvas in canvases(flag):
        prediction = predictor.predict(canvas)
        sure = {1: "a 1", 7: "a sure 7"}.get(prediction.digit or 0, "another digit")
        found[sure if prediction.is_digit else "refused"] += 1
    return found


def some_ones(count: int, rng: np.random.Generator) -> Iterator[list[np.ndarray]]:
    """Ones of height 1 with a flag; every second has a long one that is nearly level, as the bar of a 7 is."""
    for place in range(count):
        level = place % 2
        flag = rng.uniform(0.3, 0.46) if level else rng.uniform(0.05, 0.45)
        angle = rng.uniform(58, 82) if level else rng.uniform(25, 78)
        foot = 0.0 if rng.random() < 0.4 else rng.uniform(0.2, 0.6)
        yield [sampled(stroke) for stroke in european_one(flag, foot, angle, rng.uniform(-0.18, 0.35))]


def sampled(stroke: np.ndarray) -> np.ndarray:
    """(points, 2) of a path with height 1 → the same with points 1/12 apart at most, as a pen gives them."""
    parts = []
    for start, end in itertools.pairwise(stroke):
        share = np.linspace(0, 1, max(2, int(np.linalg.norm(end - start) * 12)))[:, None]
        parts.append(start + (end - start) * share)
    return np.concatenate(parts)


def write_drawings(path: Path, strokes: Path, ones: int = ONES, others: int = OTHERS) -> None:
    """Writes generated ones, and digits of the file of pen strokes, in its own form."""
    file = json.loads(gzip.decompress(strokes.read_bytes()))
    sevens = [digit for digit in file["digits"] if digit["label"] == 7]
    rest = [digit for digit in file["digits"] if digit["label"] != 7]
    random.Random(1).shuffle(rest)
    made = [
        {"label": 1, "strokes": [np.round(stroke * [200, -200] + [250, 350], 1).tolist() for stroke in one]}
        for one in some_ones(ones, np.random.default_rng(12))
    ]
    known = [{"label": digit["label"], "strokes": digit["strokes"]} for digit in (*sevens, *rest[:others])]
    path.write_bytes(gzip.compress(json.dumps({**file, "digits": made + known}).encode()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoints", nargs="*", default=["pen"])
    parser.add_argument("--drawings", type=Path, metavar="FILE", help="write what to teach (.json.gz), and end")
    parser.add_argument("--strokes", type=Path, default=data_folder() / "pendigits-train.json.gz")
    options = parser.parse_args()
    if options.drawings:
        write_drawings(options.drawings, options.strokes)
        return
    for name in options.checkpoints:
        print(name)
        for flag in FLAGS:
            found = judge(Predictor(name), flag)
            counts = ", ".join(f"{count} {kind}" for kind, count in found.most_common())
            print(f"  flag of {flag:.1f} of the height: {counts} (of {sum(found.values())})")


if __name__ == "__main__":
    main()
