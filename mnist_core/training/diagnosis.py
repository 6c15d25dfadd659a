"""Why a training learned nothing, told at its end by what it measured; what is refused beforehand is in checks.py."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtrc

from mnist_core.config import TrainConfig
from mnist_core.data.dataset import Dataset
from mnist_core.errors import ConfigError
from mnist_core.recipes import get_recipe
from mnist_core.training.state import TrainState

CHANCE = 0.01  # below this probability, an accuracy is no luck
FEW_STEPS = 100
RATE_RANGE = (0.01, 3.0)  # of the recipe's own learning rate: outside it, the rate is the likeliest cause
USUAL_RATE = {"sgd": 0.1, "adam": 0.001, "adamw": 0.001}  # where the recipe is not known


@dataclass(frozen=True)
class Measured:
    """What a training measured: losses in nats, accuracies and shares in [0, 1], the rest are counts.

    `largest_share` is that of the most frequent class in the validation images, `answers` how many classes the model
    ever chose on them; `recipe_rate` is the learning rate that the recipe began with, None where it is not known.
    `stopped` is whether the training was ended before its last epoch.
    """

    val_accuracy: float
    val_images: int
    largest_share: float
    classes: int
    steps: int
    train_images: int
    train_loss: float = math.nan
    train_accuracy: float = math.nan
    answers: int = 0
    recipe_rate: float | None = None
    stopped: bool = False


def tail_probability(right: int, images: int, share: float) -> float:
    """The probability of `right` or more right answers in `images`, each right with probability `share`."""
    return 1.0 if right <= 0 or share >= 1 else float(bdtrc(right - 1, images, share))


def guesses(accuracy: float, images: int, share: float) -> bool:
    """Whether `accuracy` on `images` is no better than always naming a class of this `share` (binomial, one-sided)."""
    return tail_probability(round(accuracy * images), images, share) > CHANCE


def diagnosed(state: TrainState, data: Dataset, metrics: Mapping[str, float], stopped: bool = False) -> str:
    """`diagnose` of a training that has ended with `metrics`, or was `stopped` without any; "" before its first batch.

    What `metrics` lack is measured on the validation images, or summed over the batches of the epoch that was begun.
    """
    if not state.step:
        return ""
    labels = data.train_labels[state.val_indices]
    answers = state.validation_logits(data.train_images[state.val_indices]).argmax(1).numpy()
    loss, right, count = state.sums
    measured = Measured(
        metrics.get("val_accuracy", float((answers == labels).mean())),
        len(labels),
        int(np.bincount(labels).max()) / len(labels),
        len(data.classes),
        state.step,
        len(state.train_indices),
        metrics.get("train_loss", loss / count if count else math.nan),
        metrics.get("train_accuracy", right / count if count else math.nan),
        len(np.unique(answers)),
        recipe_rate(state.config),
        stopped,
    )
    return diagnose(state.config, measured)


def recipe_rate(config: TrainConfig) -> float | None:
    """The learning rate that the config's recipe has for its dataset; None for a recipe of one's own."""
    try:
        return get_recipe(config.recipe).config(config.dataset).learning_rate
    except ConfigError:
        return None


def diagnose_divergence(config: TrainConfig, rate: float, usual: float | None = None) -> str:
    """A sentence on why a loss is no longer a number; `rate` was the learning rate then, `usual` is the recipe's."""
    usual = usual or USUAL_RATE[config.optimizer]
    if config.learning_rate > usual:
        return (
            f"Most likely the learning rate of {config.learning_rate:g} (at that step {rate:.3g}) is too high: "
            f"{usual:g} is usual here."
        )
    if config.precision == "bfloat16":
        return "Most likely bfloat16 is too coarse here: try precision float32."
    warm = "" if config.schedule == "one-cycle" else ", or the schedule one-cycle, which begins with a low one"
    return (
        f"The learning rate of {config.learning_rate:g} is not above the usual {usual:g}: "
        f"try {config.learning_rate / 10:g}{warm}."
    )


def diagnose(config: TrainConfig, measured: Measured) -> str:
    """A sentence on a training that ended no better than guessing, with the likeliest cause; "" on any other."""
    if not guesses(measured.val_accuracy, measured.val_images, measured.largest_share):
        return ""
    if guesses(1.0, measured.val_images, measured.largest_share):
        return (
            f"Only {measured.val_images} images are held out: too few to tell whether this model is better than "
            "guessing. Hold out more of them."
        )
    always = " It answers the same class to every image." if measured.answers == 1 else ""
    how = "can hardly be told from" if measured.val_accuracy > measured.largest_share else "is no better than"
    return (
        f"This model {how} guessing: {measured.val_accuracy:.1%} of the held-out images are right, "
        f"and always naming the most frequent class is right on {measured.largest_share:.1%}.{always} "
        f"{_cause(config, measured)}"
    )


def _cause(config: TrainConfig, measured: Measured) -> str:
    rate, chance = config.learning_rate, math.log(measured.classes)
    usual = measured.recipe_rate or USUAL_RATE[config.optimizer]
    if measured.train_loss > 1.5 * chance:
        return (
            f"The loss, {measured.train_loss:.3g}, is above the {chance:.2f} of guessing: most likely the learning "
            f"rate of {rate:g} is too high. Try {min(usual, rate / 10):g}."
        )
    if rate > RATE_RANGE[1] * usual:
        return f"Most likely the learning rate of {rate:g} is too high: {usual:g} is usual here."
    if rate < RATE_RANGE[0] * usual:
        return f"Most likely the learning rate of {rate:g} is too low: {usual:g} is usual here."
    if measured.stopped:
        return (
            f"It was stopped after {measured.steps} batch{'es' if measured.steps > 1 else ''}: resume it, as it may "
            "only need more of them."
        )
    if measured.steps < FEW_STEPS:
        return f"Most likely {measured.steps} batches are too few: train for more epochs, or with smaller batches."
    known = math.isfinite(measured.train_accuracy)
    if known and not guesses(measured.train_accuracy, measured.train_images, measured.largest_share):
        if config.batch_norm and config.batch_size < 8:
            return (
                f"It knows its training images ({measured.train_accuracy:.1%}): most likely batches of "
                f"{config.batch_size} are too small for batch norm. Try 32 or more."
            )
        return (
            f"It knows its training images ({measured.train_accuracy:.1%}) and nothing else: most likely they are too "
            "few, or their labels do not depend on what they show."
        )
    if config.precision == "bfloat16":
        return "Perhaps bfloat16 is too coarse here: try precision float32."
    if config.normalization != "standard":
        return "Perhaps the pixels differ too little: try the normalization standard."
    return (
        "The settings do not explain it. Whether the labels have anything to do with the images cannot be told from "
        "the measurements: look at some of both on the Data page."
    )
