"""Whole numbers: how many of 2 to 5 digits, apart or touching, are read exactly.

    python -m benchmarks.numbers PENDIGITS [--checkpoint pen] [--count 40] [--json]

Composes numbers of single writers' strokes (benchmarks/pictures.py), dark on paper, with gaps of 25 % and of 5 to 20 %
of a digit's width, touching, and overlapping by 3 % of it, and prints the share read exactly, by five folds of the
writers. The shipped model `pen` has learned from these writers' strokes, and the costs of inference/numbers.py were
chosen on every second of them: what is measured here is how numbers are cut, not how strangers are read.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

from benchmarks.framed import FOLDS, folds, spread
from benchmarks.pictures import number
from mnist_core.data.stroke_files import read_strokes
from mnist_core.inference.numbers import read_number
from mnist_core.inference.predictor import Predictor

GAPS = {
    "25 % apart": (0.25, 0.25),
    "5 to 20 % apart": (0.05, 0.2),
    "touching": (0.0, 0.0),
    "3 % overlapping": (-0.03, -0.03),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pendigits", type=Path)
    parser.add_argument("--checkpoint", default="pen")
    parser.add_argument("--count", type=int, default=40, help="numbers of each fold for a gap and a length")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    file, predictor = read_strokes(options.pendigits), Predictor(options.checkpoint)
    fold, labels, classes = folds(file), file.labels(), file.classes()
    writers = np.array([str(digit.writer) for digit in file.digits])
    by_gap: dict[str, dict[str, dict[int, list[bool]]]] = {}
    milliseconds = defaultdict(list)
    for gap, room in GAPS.items():
        found: dict[str, dict[int, list[bool]]] = {f"{length} digits": defaultdict(list) for length in range(2, 6)}
        for place in range(FOLDS):
            rng = np.random.default_rng(place)
            for length in range(2, 6):
                for _ in range(options.count):
                    writer = rng.choice(np.unique(writers[fold == place]))
                    rows = rng.choice(np.flatnonzero(writers == writer), length)
                    ink, _ = number([file.digits[row].strokes for row in rows], room, rng, file.y_axis)
                    begun = time.perf_counter()
                    said = read_number(predictor, np.uint8(np.rint(250 - 225 * ink))).number
                    milliseconds[gap].append(1000 * (time.perf_counter() - begun))
                    found[f"{length} digits"][place].append(said == "".join(classes[labels[row]] for row in rows))
        print(gap, f"({np.median(milliseconds[gap]):.0f} ms a number, median)")
        by_gap[gap] = spread(found, gap)
    if options.json:
        print(json.dumps(by_gap))


if __name__ == "__main__":
    main()
