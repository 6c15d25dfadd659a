"""A 1 with a flag is read as a 1, or doubted, and not taken for a sure 7.

    python -m benchmarks.european_one [CHECKPOINT ...]

Renders ones with flags and feet of every length, at several angles, slants, brushes and sizes, and prints for each
length of the flag (as a share of the height) how many are read as a 1, refused, or taken for a sure 7.
"""

from __future__ import annotations

import argparse
import itertools
from collections import Counter
from collections.abc import Iterator

import numpy as np

from mnist_core.drawing.strokes import european_one, render_strokes
from mnist_core.inference.predictor import Predictor

FLAGS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
FEET, ANGLES, SLANTS = (0.0, 0.3, 0.5), (30, 45, 60, 75), (-0.1, 0.0, 0.15, 0.3)
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoints", nargs="*", default=["pen"])
    for name in parser.parse_args().checkpoints:
        print(name)
        for flag in FLAGS:
            found = judge(Predictor(name), flag)
            counts = ", ".join(f"{count} {kind}" for kind, count in found.most_common())
            print(f"  flag of {flag:.1f} of the height: {counts} (of {sum(found.values())})")


if __name__ == "__main__":
    main()
