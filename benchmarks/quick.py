"""Claim: the recipe `quick` reaches 99.0 % on MNIST's test images in one epoch, under 8 s of training on 2 CPU cores.

    python -m benchmarks.quick [--seeds 5]

Trains `quick` with each seed through the command line, as a person would, and prints every run, the mean and the
standard deviation. The test images are read once per run, at its end.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as runs_dir:
        for seed in range(options.seeds):
            command = [sys.executable, "-m", "mnist_core", "train", "--recipe", "quick", "--dataset", "mnist"]
            command += ["--seed", str(seed), "--runs-dir", runs_dir, "--json"]
            finished = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
            result = json.loads(finished.stdout.splitlines()[-1])
            results.append(result)
            print(
                f"seed {seed}: test {result['test_accuracy']:.2%}, validation {result['val_accuracy']:.2%}, "
                f"{result['train_seconds']:.2f} s"
            )
    accuracies = [result["test_accuracy"] for result in results]
    seconds = [result["train_seconds"] for result in results]
    spread = statistics.stdev(accuracies) if len(accuracies) > 1 else 0.0
    print(
        f"{len(results)} seeds: test {statistics.mean(accuracies):.3%} ± {spread:.3%}, lowest {min(accuracies):.2%}; "
        f"median {statistics.median(seconds):.2f} s of training, longest {max(seconds):.2f} s "
        f"({platform.machine()}, {os.cpu_count()} cores)"
    )


if __name__ == "__main__":
    main()
