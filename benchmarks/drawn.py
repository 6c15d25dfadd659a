"""Digits that people draw: a model's accuracy on pen strokes drawn on the lab's canvas, each pen at each size.

    python -m benchmarks.drawn pen accurate --strokes DATA/pendigits-train.json.gz --writers 21-30

A cell is a brush's diameter in px of the canvas of 280 × the share of the canvas that a digit takes. What the shipped
`pen` model gives here on the strokes it was trained on says nothing about other people: judge it on other writers, or
judge one trained on some of them on the others, for which `--extract` writes a file of some writers:

    python -m benchmarks.drawn --strokes DATA/pendigits-train.json.gz --writers 1-20 --extract some.json
    python -m mnist_core train --recipe pen --dataset mnist --set extra=drawings:some.json
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from mnist_core.data.pen_digits import GRID, Cell, load_grid
from mnist_core.data.stroke_files import read_strokes
from mnist_core.inference.predictor import Predictor
from mnist_core.models.checkpoint import find_checkpoint


def accuracies(predictor: Predictor, cells: dict[Cell, np.ndarray], labels: np.ndarray) -> dict[Cell, float]:
    """Share of digits read right in each cell."""
    return {cell: float((_answers(predictor, images) == labels).mean()) for cell, images in cells.items()}


def _answers(predictor: Predictor, images: np.ndarray) -> np.ndarray:
    parts = np.array_split(images, max(1, len(images) // 500))
    return np.concatenate([predictor.probabilities(part).argmax(axis=1) for part in parts])


def table(rows: dict[str, dict[Cell, float]]) -> str:
    """Models down, cells across, in per cent."""
    head = ["model", *(f"{cell.brush}×{cell.height:.0%}" for cell in GRID), "mean", "lowest"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for name, row in rows.items():
        values = [*row.values(), float(np.mean(list(row.values()))), min(row.values())]
        lines.append(f"| {name} | " + " | ".join(f"{value:.2%}" for value in values) + " |")
    return "\n".join(lines)


def writers(text: str) -> set[str]:
    """`21-30` or `3,7,9` → the names of these writers."""
    if "-" in text:
        first, last = (int(part) for part in text.split("-"))
        return {str(number) for number in range(first, last + 1)}
    return set(text.split(","))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", nargs="*", help="names under checkpoints/ or paths of checkpoint folders")
    parser.add_argument("--strokes", type=Path, required=True, help="pen strokes, JSON or gzipped JSON")
    parser.add_argument("--writers", type=writers, help="only these, such as 21-30 (default: all)")
    parser.add_argument("--extract", type=Path, metavar="FILE", help="write the strokes of these writers to FILE")
    options = parser.parse_args()
    if options.extract:
        sheet = read_strokes(options.strokes)
        chosen = [d for d in sheet.digits if options.writers is None or str(d.writer) in options.writers]
        options.extract.write_text(sheet.model_copy(update={"digits": chosen}).model_dump_json())
        print(f"{len(chosen)} digits in {options.extract}")
    if not options.checkpoints:
        return
    with tqdm(total=100, unit="%", desc="drawing", file=sys.stderr, leave=False) as bar:
        _, cells, labels = load_grid(
            options.strokes, options.writers, lambda share: bar.update(int(share * 100) - bar.n)
        )
    rows = {}
    for name in options.checkpoints:
        rows[name] = accuracies(Predictor(find_checkpoint(name)), cells, labels)
    print(f"{len(labels)} digits in each of {len(cells)} cells")
    print(table(rows))


if __name__ == "__main__":
    main()
