"""python -m benchmarks.learning_rates → is the rate that a range test suggests about as good as the recipe's own?

For three recipes, on `digits` and on MNIST: the suggestion, and validation after one epoch with it and with the
recipe's own rate, with the same seeds. Of MNIST a training takes a fifth of the images, to be done within minutes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mnist_core.config import TrainConfig
from mnist_core.data.dataset import Dataset
from mnist_core.data.prepare import load_for
from mnist_core.experiments.seeds import spread
from mnist_core.recipes import get_recipe
from mnist_core.training.loop import DivergedError, train
from mnist_core.training.range_test import range_test
from mnist_core.training.state import TrainState

RECIPES = ("quick", "mlp-baseline", "three-conv")
MNIST_SHARE = 0.2


def validation(config: TrainConfig, data: Dataset) -> float:
    """The accuracy on validation after one epoch, in [0, 1]; 0 where it diverged."""
    try:
        return next(e["val_accuracy"] for e in train(TrainState(config, data), data) if e["event"] == "epoch")
    except DivergedError:
        return 0.0


def compare(recipe: str, dataset: str, seeds: Sequence[int]) -> str:
    """A row of the table in docs/measurements.md."""
    config = get_recipe(recipe).config(dataset)
    data = load_for(config, further=True)
    found = range_test(config, data)
    share = MNIST_SHARE if dataset == "mnist" else 1.0
    short = config.replace(epochs=1, patience=0, validations_per_epoch=1, train_share=share)
    measured = {
        rate: spread(validation(short.replace(learning_rate=rate, seed=seed), data) for seed in seeds)
        for rate in (config.learning_rate, found.suggestion or config.learning_rate)
    }
    texts = [f"{rate:g}: {measured[rate].text(percent=True)}" for rate in (config.learning_rate, found.suggestion)]
    where = f"{found.steepest_at:.2g}, {found.lowest_at:.2g}, {found.ended_at or 0:.2g}"
    return f"| `{recipe}` on {dataset} | {config.schedule} | {where} | {' | '.join(texts)} | {found.seconds:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    print("| recipe | schedule | fell fastest, lowest, broke at | own rate | suggested | seconds |")
    print("|---|---|---|---|---|---|")
    for dataset in ("digits", "mnist"):
        for recipe in RECIPES:
            print(compare(recipe, dataset, range(options.seeds)), flush=True)


if __name__ == "__main__":
    main()
