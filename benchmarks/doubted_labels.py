"""Which labels of MNIST's test images the shipped models doubt, and their scores without these.

    python -m benchmarks.doubted_labels [MODEL ...]

Prints the accuracy of each model with its 95 % interval (Wilson), the same with its doubted labels set aside
(confident learning, mnist_core/explain/label_errors.py), and the rows; then the rows that most models doubt, and
McNemar's test of each pair. To set doubted labels aside always raises a score, as each is a mistake. Nothing is chosen
by these figures.
"""

from __future__ import annotations

import argparse
from collections import Counter
from itertools import combinations

from mnist_core.data.loading import load_dataset
from mnist_core.explain.label_errors import accuracy_without, doubted_labels
from mnist_core.inference.disagreement import disagreement
from mnist_core.inference.interval import wilson_interval
from mnist_core.inference.metrics import Evaluation, evaluate
from mnist_core.inference.network import Network
from mnist_core.models.checkpoint import find_checkpoint, load_checkpoint, shipped_names


def words(right: int, images: int) -> str:
    low, high = wilson_interval(right, images)
    return f"{right / images:.3%} ({low:.3%} to {high:.3%}) of {images:,}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=shipped_names())
    options = parser.parse_args()
    data = load_dataset("mnist")
    found: dict[str, Evaluation] = {}
    doubted: Counter[int] = Counter()
    for name in options.models:
        network = Network(load_checkpoint(find_checkpoint(name)))
        result = found[name] = evaluate(network, data.test_images, data.test_labels)
        rows = doubted_labels(result.labels, result.probabilities)
        doubted.update(rows.tolist())
        print(f"{name}: {words(int(result.right.sum()), len(result.labels))}")
        print(f"  without {len(rows)} doubted: {words(*accuracy_without(result.right, rows))}; rows {rows.tolist()}")
    shared = sorted(row for row, count in doubted.items() if count > len(found) / 2)
    print(f"doubted by most: {[(row, int(data.test_labels[row])) for row in shared]} (row, label)")
    for one, other in combinations(found, 2):
        against = disagreement(found[one], found[other])
        alone = f"{len(against.first_alone)} and {len(against.second_alone)}"
        print(f"{one} and {other} alone right: {alone}; McNemar p = {against.p:.3g}")


if __name__ == "__main__":
    main()
