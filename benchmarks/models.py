"""Measures the models that ship with the lab, and writes the figures into their cards, from which the Home page reads.

    python -m benchmarks.models [CHECKPOINT ...] [--pen FILE] [--stand-in NAME=CHECKPOINT] [--calibrate] [--write]

Per model: parameters, size, accuracy, expected calibration error and share refused on MNIST's test images, accuracy on
digits drawn by writers 21 to 30, and the median time from a canvas to the answer. A model that learned from pen strokes
is not judged on them: `--stand-in pen=CHECKPOINT` names one trained alike without those writers, whose figure it gets.
`--calibrate` first fits temperature and threshold on the model's validation images and puts them into the card, for a
model trained before runs did so themselves.
`--write` puts the figures into the card. Without names: all in checkpoints/.
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.drawn import accuracies, writers
from mnist_core.data.loading import load_dataset
from mnist_core.data.outliers import canvases
from mnist_core.data.pen_digits import Cell, load_grid
from mnist_core.data.prepare import load_for
from mnist_core.data.splits import train_and_validation
from mnist_core.inference.calibration import calibrated, reliability
from mnist_core.inference.interval import accuracy_text
from mnist_core.inference.metrics import evaluate
from mnist_core.inference.network import Network
from mnist_core.inference.predictor import Predictor
from mnist_core.models.card import Measured
from mnist_core.models.checkpoint import WEIGHTS, find_checkpoint, load_checkpoint, shipped_names, update_card
from mnist_core.system.settings import data_folder
from mnist_core.training.loop import processor

PREDICTIONS = 200
MNIST_TEST = 10_000  # images
Grid = tuple[dict[Cell, np.ndarray], np.ndarray]  # images per cell, and their labels


def calibrate(folder: Path) -> None:
    """Fits temperature and threshold on the validation part of the model's own dataset, and rewrites the card."""
    checkpoint = load_checkpoint(folder)
    plain = Network(replace(checkpoint, card=checkpoint.card.model_copy(update={"temperature": 1.0})))
    data = load_for(checkpoint.card.config)
    _, rows = train_and_validation(data, checkpoint.card.config)
    fitted = calibrated(plain.infer(data.train_images[rows]), data.train_labels[rows])
    update_card(folder, **fitted)
    loss = evaluate(Network(load_checkpoint(folder)), data.test_images, data.test_labels).loss
    update_card(folder, metrics={**checkpoint.card.metrics, "test_loss": loss})  # the old one had another temperature
    print(f"{folder.name}: {fitted} from {len(rows):,} validation images of {data.title}", file=sys.stderr)


def drawn(name: str, folder: Path, stand_ins: dict[str, str], grid: Grid | None) -> dict[str, Any]:
    """Mean and lowest accuracy over the grid, of the model or of the one that stands in for it; empty if unknown."""
    judged = find_checkpoint(stand_ins[name]) if name in stand_ins else folder
    if grid is None or (judged == folder and load_checkpoint(folder).card.config.extra):
        return {}  # it may know these very writers
    cells = list(accuracies(Predictor(judged), *grid).values())
    return {"drawn_accuracy": float(np.mean(cells)), "drawn_lowest": min(cells), "drawn_images": len(grid[1])}


def milliseconds(predictor: Predictor) -> float:
    """Median time from a canvas to the answer, after ten to warm up: reading the drawing, the network, the doubts."""
    drawings, times = canvases("letters", 20, 0), []
    for number in range(PREDICTIONS + 10):
        start = time.perf_counter()
        predictor.predict(drawings[number % len(drawings)])
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times[10:])


def measure(folder: Path, drawn_figures: dict[str, Any]) -> Measured:
    """All figures of one model."""
    predictor, mnist = Predictor(folder), load_dataset("mnist")
    result = evaluate(predictor.network, mnist.test_images, mnist.test_labels)
    rejections = predictor.rejections(mnist.test_images, result.probabilities)
    device = next(predictor.checkpoint.model.parameters()).device
    return Measured(
        test_accuracy=result.accuracy,
        **drawn_figures,
        calibration_error=reliability(result.confidence, result.predicted == result.labels).error,
        refused=float(np.mean([rejection is not None for rejection in rejections])),
        milliseconds=round(milliseconds(predictor), 2),
        machine=f"{processor(device)}, {platform.machine()}, {os.cpu_count()} cores",
        command=shlex.join(["python", "-m", "benchmarks.models", *sys.argv[1:]]),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", nargs="*")
    parser.add_argument("--pen", type=Path, default=data_folder() / "pendigits-train.json.gz")
    parser.add_argument("--writers", type=writers, default=writers("21-30"), help="who draws (default: 21-30)")
    parser.add_argument("--stand-in", action="append", default=[], metavar="NAME=CHECKPOINT")
    parser.add_argument("--calibrate", action="store_true")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    stand_ins = dict(text.partition("=")[::2] for text in options.stand_in)
    grid = load_grid(options.pen, options.writers)[1:] if options.pen.is_file() else None
    print(
        "| model | parameters | size | MNIST test | drawn | calibration error | refused | ms a prediction | training |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for name in options.checkpoints or shipped_names():
        folder = find_checkpoint(name)
        if options.calibrate:
            calibrate(folder)
        found = measure(folder, drawn(name, folder, stand_ins, grid))
        card = update_card(folder, measured=found) if options.write else load_checkpoint(folder).card
        pen = "not measured"
        if found.drawn_accuracy is not None:
            pen = accuracy_text(found.drawn_accuracy, found.drawn_images)
        print(
            f"| `{card.name}` | {card.parameters:,} | {(folder / WEIGHTS).stat().st_size / 1000:,.0f} kB "
            f"| {accuracy_text(found.test_accuracy, MNIST_TEST)} | {pen} | {found.calibration_error:.4f} "
            f"| {found.refused:.2%} | {found.milliseconds:.1f} | {card.train_seconds:,.0f} s |",
            flush=True,
        )


if __name__ == "__main__":
    main()
