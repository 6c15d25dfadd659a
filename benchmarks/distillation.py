"""What it is worth to learn from other models: MNIST test accuracy of one network, taught by labels and by models.

    python -m benchmarks.distillation [--seeds 2] [--runs-dir DIR]     (about five hours on one core)

1. labels: `wide-residual-cnn`, from the labels alone, 25 epochs.
2. taught: the same network from random weights, 22 epochs, nine tenths of its target being what `residual` and the
   networks of step 1 answer on average to the image as it is shown.
3. taught on: each of step 2 for 11 epochs more, the others of step 2 being among its teachers.

Ordinary runs: interrupted, the next call goes on with them. The test images are read once a run, after its last epoch.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

from tqdm import tqdm

from mnist_core.config import TrainConfig
from mnist_core.errors import RunError
from mnist_core.experiments.reproduce import find_or_create_run, finish_runs
from mnist_core.models.checkpoint import read_card
from mnist_core.recipes import get_recipe
from mnist_core.system.settings import data_folder, runs_folder

UNTAUGHT = {"epochs": 25, "label_smoothing": 0.02}
TAUGHT_ON = {"epochs": 11, "learning_rate": 0.002}


def trained(what: str, configs: list[TrainConfig], runs_dir: Path) -> list[str]:
    """The checkpoints of `configs`, whose accuracies are printed. Raises RunError."""
    runs = [find_or_create_run(config, runs_dir) for config in configs]
    with tqdm(unit="epoch", desc=what, file=sys.stderr, mininterval=0.5) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        finish_runs(runs, runs_dir, data_folder(), show)
    checkpoints = [run.checkpoint() for run in runs]
    if None in checkpoints:
        raise RunError("A run has ended without a checkpoint: delete it and begin again.")
    metrics = [read_card(checkpoint).metrics for checkpoint in checkpoints]
    test = [100 * each["test_accuracy"] for each in metrics]
    spread = f" ± {statistics.stdev(test):.3f}" if len(test) > 1 else ""
    listed = ", ".join(f"{each['test_accuracy']:.2%} (validation {each['val_accuracy']:.2%})" for each in metrics)
    print(f"{what}: {statistics.mean(test):.3f}{spread} % on test, {len(test)} seeds: {listed}", flush=True)
    return [str(checkpoint) for checkpoint in checkpoints]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--runs-dir", type=Path, default=runs_folder())
    options = parser.parse_args()
    seeds = range(options.seeds)
    config = get_recipe("best").config("mnist")
    first = trained("labels", [config.replace(**UNTAUGHT, seed=seed) for seed in seeds], options.runs_dir)
    teachers = [*first, "residual"]
    second = trained(
        "taught", [config.replace(seed=seed, teachers=",".join(teachers)) for seed in seeds], options.runs_dir
    )
    third = []
    for seed, own in zip(seeds, second, strict=True):
        others = [*teachers, *(each for each in second if each != own)]
        third.append(config.replace(**TAUGHT_ON, seed=seed, init_from=own, teachers=",".join(others)))
    trained("taught on", third, options.runs_dir)


if __name__ == "__main__":
    main()
