"""At which strength of each corruption, and of an attack, the shipped models fail.

    python -m benchmarks.break_it [MODEL ...] [--images 1000] [--attacked 50]

Corruptions: on a seeded sample of MNIST's test images, as the Results page draws it, the first of eight levels at which
a model reads less than nine tenths of what it reads without, and its accuracy there with the 95 % interval (Wilson).
Attacks: of the first test images of the same sample that a model reads right, the median over images of the smallest
strength found, in grey levels of 255, and its quartiles. Nothing is chosen by these figures.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from mnist_core.data.loading import load_dataset
from mnist_core.explain.adversarial import METHODS, MOST, smallest_strength
from mnist_core.inference.corruptions import CORRUPTIONS
from mnist_core.inference.predictor import Predictor
from mnist_core.inference.robustness import robustness, sample, verdict
from mnist_core.models.checkpoint import shipped_names


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=shipped_names())
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--attacked", type=int, default=50)
    options = parser.parse_args()
    torch.set_num_threads(1)  # single images share no work
    data = load_dataset("mnist")
    rows = sample(len(data.test_labels), options.images)
    images, labels = data.test_images[rows], data.test_labels[rows]
    for name in options.models:
        predictor = Predictor(name)
        for corruption, kind in CORRUPTIONS.items():
            print(
                f"{name}, {kind.title}: {verdict(robustness(predictor.network, images, labels, corruption))}",
                flush=True,
            )
        right = np.flatnonzero(predictor.network.infer(images).argmax(axis=1) == labels)[: options.attacked]
        for method in METHODS:
            found = [smallest_strength(predictor.checkpoint.model, images[row], method) for row in right]
            strengths = [MOST + 1 if strength is None else strength for strength in found]
            low, middle, high = np.percentile(strengths, [25, 50, 75])
            print(f"{name}, {method}: {middle:g} ({low:g} to {high:g}) of 255 on {len(right)} images", flush=True)


if __name__ == "__main__":
    main()
