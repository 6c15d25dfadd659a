"""What a recipe reaches by its last epoch, and by the epoch that is best on test, as some sources report it.

    python -m benchmarks.best_epoch [--recipe compact-20k] [--seeds 0,1,2,3,4] [--threads 1] [--keep FILE]

The weights of every epoch are kept, and judged on the test images when the training has ended: nothing is chosen by
them. The best of N epochs on test is an optimistic figure. It is measured for comparison with sources that report it.
With `--keep` the seeds that FILE has already are not trained again.
"""

from __future__ import annotations

import argparse
import copy
import json
from pathlib import Path
from statistics import mean, stdev

import torch

from mnist_core.data.loading import load_dataset
from mnist_core.models.classifier import infer
from mnist_core.recipes import get_recipe
from mnist_core.system.settings import data_folder
from mnist_core.training.loop import train
from mnist_core.training.state import TrainState
from mnist_core.training.validation import loss_and_accuracy


def test_accuracies(recipe: str, seed: int, threads: int) -> list[float]:
    """The test accuracy, in [0, 1], of the weights after each epoch."""
    data = load_dataset("mnist", data_folder())
    config = get_recipe(recipe).config("mnist").replace(seed=seed, threads=threads)
    state, weights = TrainState(config, data), []
    for event in train(state, data):
        if event["event"] == "epoch":
            weights.append(copy.deepcopy(state.best_model.state_dict()))
            print(f"seed {seed}, epoch {event['epoch']}: validation {event['val_accuracy']:.2%}", flush=True)
    accuracies = []
    for epoch_weights in weights:
        state.best_model.load_state_dict(epoch_weights)
        accuracies.append(loss_and_accuracy(infer(state.best_model, data.test_images), data.test_labels)[1])
    return accuracies


def summary(name: str, values: list[float]) -> str:
    spread = f" ± {stdev(values):.3%}" if len(values) > 1 else ""
    return f"{name}: {mean(values):.3%}{spread} ({len(values)} seeds: {', '.join(f'{v:.2%}' for v in values)})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default="compact-20k")
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="JSON: seed → the test accuracy after each epoch")
    options = parser.parse_args()
    kept = json.loads(options.keep.read_text()) if options.keep and options.keep.exists() else {}
    for seed in options.seeds.split(","):
        if seed not in kept:
            kept[seed] = test_accuracies(options.recipe, int(seed), options.threads)
            if options.keep:
                options.keep.write_text(json.dumps(kept, indent=1))
    rows = [kept[seed] for seed in options.seeds.split(",")]
    print(summary("last epoch", [row[-1] for row in rows]))
    print(summary("best epoch on test", [max(row) for row in rows]))
    print(f"torch {torch.__version__}, {options.threads} thread(s)")


if __name__ == "__main__":
    main()
