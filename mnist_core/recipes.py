"""Named TrainConfigs: a place to start from, with what to expect of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mnist_core.config import TrainConfig
from mnist_core.errors import ConfigError


@dataclass(frozen=True)
class Recipe:
    """A TrainConfig under a name. `adapted` holds what changes for datasets other than MNIST."""

    name: str
    title: str
    summary: str
    settings: dict[str, Any]
    adapted: dict[str, dict[str, Any]] = field(default_factory=dict)

    def config(self, dataset: str = "mnist") -> TrainConfig:
        """The recipe's settings for `dataset`."""
        settings = {**self.settings, **self.adapted.get(dataset, {})}
        return TrainConfig(recipe=self.name, dataset=dataset, **settings)


_ALL = (
    Recipe(
        "quick",
        "Quick: 99 % in one epoch",
        "A small modern CNN and a one-cycle learning rate. One pass over MNIST takes seconds.",
        {
            "model": "small-cnn",
            "epochs": 1,
            "batch_size": 96,
            "learning_rate": 0.01,
            "schedule": "one-cycle",
            "label_smoothing": 0.05,
            "validations_per_epoch": 4,
        },
        # 1,437 images a pass instead of 60,000: more passes for about as many steps
        {"digits": {"epochs": 20, "batch_size": 64, "validation_fraction": 0.15, "validations_per_epoch": 1}},
    ),
    Recipe(
        "accurate",
        "Accurate: 99.6 % in minutes",
        "A larger CNN, each image moved a little at random, weights averaged over steps. The shipped model's recipe.",
        {
            "model": "lab-cnn",
            "epochs": 30,
            "batch_size": 128,
            "learning_rate": 0.006,
            "schedule": "one-cycle",
            "ema_decay": 0.998,
            "label_smoothing": 0.05,
            "dropout": 0.1,
            "rotation": 10.0,
            "translation": 2.0,
            "scaling": 0.1,
            "shear": 10.0,
        },
        {"digits": {"epochs": 60, "batch_size": 64, "validation_fraction": 0.15, "ema_decay": 0.98}},
    ),
    Recipe(
        "two-conv",
        "Two convolutions: the classic CNN",
        "Two 3×3 convolutions and a dense layer. Turn batch norm and dropout on to see what each changes.",
        {
            "model": "two-conv",
            "epochs": 5,
            "batch_size": 128,
            "learning_rate": 0.001,
            "batch_norm": False,
            "normalization": "unit",
        },
        {"digits": {"epochs": 20, "validation_fraction": 0.15}},
    ),
    Recipe(
        "mlp-baseline",
        "Dense layers only: the baseline",
        "784-128-64-10 without any convolution: what a network learns that does not know pixels have neighbours.",
        {"model": "mlp", "epochs": 5, "batch_size": 64, "learning_rate": 0.001, "batch_norm": False},
        {"digits": {"epochs": 20, "validation_fraction": 0.15}},
    ),
)

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in _ALL}


def get_recipe(name: str) -> Recipe:
    """The recipe called `name`. Raises ConfigError."""
    if name not in RECIPES:
        raise ConfigError(f"There is no recipe '{name}'; there are: {', '.join(RECIPES)}.")
    return RECIPES[name]
