"""Recipes: named TrainConfigs to start from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mnist_core.config import TrainConfig
from mnist_core.errors import ConfigError


@dataclass(frozen=True)
class Recipe:
    """A named TrainConfig. `adapted` maps a kind of dataset to the settings that differ from those for MNIST."""

    name: str
    title: str
    summary: str
    settings: dict[str, Any]
    adapted: dict[str, dict[str, Any]] = field(default_factory=dict)

    def config(self, dataset: str = "mnist") -> TrainConfig:
        """The settings for `dataset`; those adapted to `folder` hold for every `folder:PATH`."""
        settings = {**self.settings, **self.adapted.get(dataset.partition(":")[0], {})}
        return TrainConfig(recipe=self.name, dataset=dataset, **settings)


_TWO_CONV_COLOUR = {
    "epochs": 14,
    "keep": "best",
    "batch_norm": True,
    "dropout": 0.3,
    "schedule": "one-cycle",
    "learning_rate": 0.002,
    "flip": True,
    "translation": 2.0,
    "precision": "auto",
}

_RESIDUAL = {
    "model": "residual-cnn",
    "activation": "silu",
    "epochs": 46,
    "batch_size": 128,
    "optimizer": "adamw",
    "learning_rate": 0.006,
    "weight_decay": 0.02,
    "schedule": "one-cycle",
    "ema_decay": 0.999,
    "label_smoothing": 0.02,
    "dropout": 0.1,
    "rotation": 10.0,
    "translation": 2.0,
    "scaling": 0.1,
    "shear": 10.0,
    "elastic": 0.6,
    "validation_fraction": 0.03333,
}

_ALL = (
    Recipe(
        "quick",
        "Quick: 99 % in one epoch",
        "A small modern CNN and a one-cycle learning rate. One pass over MNIST takes seconds.",
        {
            "model": "quick-cnn",
            "epochs": 1,
            "batch_size": 96,
            "learning_rate": 0.01,
            "schedule": "one-cycle",
            "label_smoothing": 0.05,
            "precision": "auto",
            "validations_per_epoch": 2,
        },
        # 1,437 images a pass instead of 60,000: more passes for about as many steps
        {
            "digits": {"epochs": 20, "batch_size": 64, "validation_fraction": 0.15, "validations_per_epoch": 1},
            "usps": {"epochs": 8, "validation_fraction": 0.15, "validations_per_epoch": 1},
            # their pictures may be small and have no margin
            "folder": {"model": "small-cnn"},
        },
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
        "tiny",
        "Tiny: 99.6 % with 18,206 parameters",
        "Depthwise separable convolutions, each image moved a little, weights averaged over steps. For patient people.",
        {
            "model": "separable-cnn",
            "activation": "silu",
            "epochs": 60,
            "batch_size": 128,
            "learning_rate": 0.008,
            "schedule": "one-cycle",
            "ema_decay": 0.999,
            "label_smoothing": 0.02,
            "rotation": 8.0,
            "translation": 1.5,
            "scaling": 0.08,
            "shear": 8.0,
            "validation_fraction": 0.03333,
        },
        {"digits": {"batch_size": 64, "validation_fraction": 0.15, "ema_decay": 0.98}},
    ),
    Recipe(
        "residual",
        "Residual: an hour for the last tenth of a percent",
        "A residual network, each image moved and bent a little at random, weights averaged over steps.",
        _RESIDUAL,
        {"digits": {"epochs": 60, "batch_size": 64, "validation_fraction": 0.15, "ema_decay": 0.98}},
    ),
    Recipe(
        "best",
        "Best: a wide residual network with teachers",
        "`residual` with twice the channels, which learns from other models (name them under More settings, Teachers), "
        "best from several trained alike. Takes longest.",
        {
            **_RESIDUAL,
            "model": "wide-residual-cnn",
            "epochs": 22,
            "learning_rate": 0.004,
            "label_smoothing": 0.0,  # the teachers' probabilities are soft already
            "precision": "auto",
        },
        {"digits": {"epochs": 40, "batch_size": 64, "validation_fraction": 0.15, "ema_decay": 0.98}},
    ),
    Recipe(
        "pen",
        "Pen: digits as people draw them",
        "Trains `residual` on pen strokes too (name them under More settings, Further drawings to learn from), "
        "and on drawings of no digit, of which it shall be unsure.",
        {
            **_RESIDUAL,
            "init_from": "residual",
            "epochs": 5,
            "learning_rate": 0.002,
            "ema_decay": 0.998,
            "elastic": 0.0,
            "extra_copies": 3,
            "non_digits": 8000,
        },
        {
            "digits": {
                "epochs": 20,
                "batch_size": 64,
                "validation_fraction": 0.15,
                "ema_decay": 0.98,
                "non_digits": 400,
            },
            # weights of residual and non-digits are made for grey digits only
            "cifar10": {"init_from": "", "non_digits": 0},
            "folder": {"init_from": "", "non_digits": 0},
        },
    ),
    Recipe(
        "teach",
        "Teach: one person's hand in a minute",
        "Goes on with a model on a person's drawings (the dataset `drawings:PATH`), beside images that it knows and "
        "its own earlier answers to them, so that it forgets little.",
        {
            "model": "residual-cnn",
            "activation": "silu",
            "init_from": "pen",
            "init_share": 0.25,
            "teachers": "pen",
            "epochs": 6,
            "batch_size": 128,
            "optimizer": "adamw",
            "learning_rate": 0.001,
            "weight_decay": 0.02,
            "schedule": "one-cycle",
            "ema_decay": 0.98,
            "distillation": 0.9,
        },
        {
            "drawings": {"rehearsal": "auto", "non_digits": 1000},
            # the weights are made for grey digits only
            "cifar10": {"init_from": "", "init_share": 0.0, "teachers": ""},
            "folder": {"init_from": "", "init_share": 0.0, "teachers": ""},
            "digits": {"batch_size": 64, "validation_fraction": 0.15},
        },
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
            "labels": "one-hot",
            "split": "pooled",
            "validation_fraction": 0.1,
            "test_fraction": 0.1,
        },
        {
            "digits": {"epochs": 20, "validation_fraction": 0.15},
            "cifar10": _TWO_CONV_COLOUR,
            "folder": _TWO_CONV_COLOUR,
        },
    ),
    Recipe(
        "compact-20k",
        "Compact: under 20,000 parameters",
        "Seven convolutions from 28×28 down to 1×1 and no dense layer. Small, slow to train, and very good.",
        {
            "model": "compact",
            "epochs": 20,
            "batch_size": 64,
            "optimizer": "sgd",
            "learning_rate": 0.01,
            "momentum": 0.9,
            "schedule": "step",
            "step_epochs": 15,
            "step_factor": 0.1,
            "dropout": 0.1,
            "head": "log-softmax",
            "rotation": 10.0,
            "scaling": 0.1,
            "validation_fraction": 1 / 30,
        },
        {"digits": {"epochs": 60, "step_epochs": 45, "validation_fraction": 0.15}},
    ),
    Recipe(
        "three-conv",
        "Three blocks of convolution and pooling",
        "The textbook CNN: 32, 64, 128 channels, each pooled, a dense layer and strong dropout.",
        {
            "model": "three-conv",
            "epochs": 10,
            "batch_size": 128,
            "learning_rate": 0.0005,
            "weight_decay": 1e-4,
            "batch_norm": False,
            "dropout": 0.5,
            "schedule": "step",
            "step_epochs": 3,
            "step_factor": 0.5,
            "normalization": "unit",
        },
        {"digits": {"epochs": 60, "step_epochs": 20, "validation_fraction": 0.15}},
    ),
    Recipe(
        "mlp-baseline",
        "Dense layers only: the baseline",
        "784-128-64-10 without any convolution: what a network learns that does not know pixels have neighbours.",
        {"model": "mlp", "epochs": 5, "batch_size": 64, "learning_rate": 0.001, "batch_norm": False},
        {"digits": {"epochs": 20, "validation_fraction": 0.15}},
    ),
    Recipe(
        "two-conv-fc3",
        "Two pooled convolutions before the baseline",
        "The baseline's dense layers behind two convolutions: what seeing neighbours is worth.",
        {"model": "two-conv-fc3", "epochs": 5, "batch_size": 64, "learning_rate": 0.001, "batch_norm": False},
        {"digits": {"epochs": 20, "validation_fraction": 0.15}},
    ),
    *(
        Recipe(
            name,
            title,
            summary,
            {
                "model": "dense",
                "epochs": 20,
                "batch_size": 128,
                "learning_rate": 0.001,
                "batch_norm": False,
                "normalization": "unit",
                "labels": "one-hot",
                "validation_fraction": 0.3,
                **regularisers,
            },
            {"digits": {"epochs": 60}},
        )
        for name, title, summary, regularisers in (
            (
                "dense-plain",
                "Dense network",
                "Three dense layers, nothing against overfitting: watch validation loss rise.",
                {},
            ),
            (
                "dense-l2",
                "Dense network with L2",
                "A penalty on the first layer's weights: the loss grows with their squares.",
                {"l2_first": 1e-4},
            ),
            (
                "dense-dropout",
                "Dense network with dropout",
                "Features switched off at random while training.",
                {"dropout": 0.3},
            ),
            (
                "dense-l2-dropout",
                "Dense network with L2 and dropout",
                "Both regularisers at once: what do they do together?",
                {"l2_first": 1e-4, "dropout": 0.3},
            ),
        )
    ),
    Recipe(
        "colour",
        "Small colour pictures: a residual network",
        "The lab's own network for CIFAR-10 and folders of small pictures: shortcuts, mirrored and shifted images.",
        {
            "model": "small-resnet",
            "activation": "silu",
            "epochs": 16,
            "batch_size": 128,
            "optimizer": "adamw",
            "learning_rate": 0.006,
            "weight_decay": 0.05,
            "schedule": "one-cycle",
            "label_smoothing": 0.1,
            "ema_decay": 0.998,
            "translation": 3.0,
            "flip": True,
            "erasing": 8,
            "precision": "auto",
            "validation_fraction": 0.05,
        },
        # mirrored digits are no digits, and they need fewer epochs
        {
            "mnist": {"epochs": 14, "flip": False, "erasing": 0},
            "digits": {"flip": False, "erasing": 0, "validation_fraction": 0.15},
            "drawings": {"epochs": 14, "flip": False, "erasing": 0},
        },
    ),
)

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in _ALL}


def get_recipe(name: str) -> Recipe:
    """The recipe called `name`. Raises ConfigError."""
    if name not in RECIPES:
        raise ConfigError(f"There is no recipe '{name[:100]}'; there are: {', '.join(RECIPES)}.")
    return RECIPES[name]
