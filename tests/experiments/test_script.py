"""The script of a training: the lab's network, schedule and augmentation, in a file that knows nothing of the lab."""

from __future__ import annotations

import ast
import os
import subprocess
import sys

import pytest
import torch

from mnist_core.config import Shape, TrainConfig
from mnist_core.data.augment import augment
from mnist_core.errors import ConfigError
from mnist_core.experiments.script import parts, script, why_not
from mnist_core.models.architectures import ACTIVATIONS, MODELS
from mnist_core.models.card import Card
from mnist_core.models.classifier import build_model, count_parameters
from mnist_core.recipes import RECIPES
from mnist_core.training.optim import learning_rate_at

COLOUR = Shape(3, 32, 32, 10)


def card(config: TrainConfig) -> Card:
    shape = COLOUR if config.dataset == "cifar10" else Shape()
    return Card(
        name="mine",
        architecture=config.model,
        parameters=count_parameters(build_model(config, shape)),
        classes=list("0123456789"),
        input_shape=(shape.channels, shape.height, shape.width),
        mean=[0.1] * shape.channels,
        std=[0.3] * shape.channels,
        dataset=config.dataset,
        config=config,
        epoch=1,
        step=1,
        train_seconds=1,
        metrics={"test_accuracy": 0.99},
        weights_sha256="0" * 64,
    )


def names_of(config: TrainConfig, title: str, **given: object) -> dict:
    """What the part of the script whose title begins so defines."""
    code = next(part.code for part in parts(card(config)) if part.title.startswith(title))
    names: dict = {"torch": torch, "nn": torch.nn, "F": torch.nn.functional, "DEVICE": torch.device("cpu"), **given}
    exec("import math\n" + code, names)
    return names


@pytest.mark.parametrize("dataset", ["mnist", "cifar10"])
def test_recipes_are_scripts_of_150_lines_and_two_packages(dataset):
    written = 0
    for recipe in RECIPES.values():
        config = recipe.config(dataset)
        if why_not(config) or (dataset == "cifar10" and MODELS[config.model].least_side > 32):
            continue
        source = script(card(config))
        assert len(source.splitlines()) <= 150, recipe.name
        assert max(map(len, source.splitlines())) <= 120, recipe.name
        imported = {
            name.partition(".")[0]
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names])
        }
        assert imported - set(sys.stdlib_module_names) == {"torch", "torchvision"}
        written += 1
    assert written >= 14


@pytest.mark.parametrize("model", MODELS)
def test_the_network_answers_as_the_labs_with_its_weights(model):
    for number, activation in enumerate(ACTIVATIONS if model == "small-resnet" else ["relu"]):
        config = TrainConfig(
            dataset="cifar10" if model == "small-resnet" else "mnist",
            model=model,
            activation=activation,
            batch_norm=number % 2 == 0,
            head="log-softmax" if number % 3 == 0 else "logits",
            dropout=0.25,
        )
        shape = COLOUR if config.dataset == "cifar10" else Shape()
        torch.manual_seed(number)
        own = build_model(config, shape).eval()
        net = names_of(config, "The network")["net"]
        net.load_state_dict(own.net.state_dict())
        x = torch.rand(3, shape.channels, shape.height, shape.width)
        with torch.no_grad():
            torch.testing.assert_close(net.eval()(x), own(x))
        assert [layer.p for layer in net.modules() if isinstance(layer, torch.nn.Dropout)] == [
            layer.p for layer in own.modules() if isinstance(layer, torch.nn.Dropout)
        ]


@pytest.mark.parametrize(
    "settings",
    [
        {"rotation": 10.0, "translation": 2.0, "scaling": 0.1, "shear": 10.0},
        {"rotation": 10.0, "elastic": 0.6},
        {"scaling": 0.2, "elastic": 1.5, "shear": 3.0},
        {"rotation": 5.0, "flip": True, "erasing": 8},
        {"flip": True},
    ],
)
def test_images_are_augmented_as_in_the_lab(settings):
    config = TrainConfig(**settings)
    x = torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(5)
    expected = augment(x, config)
    own = names_of(config, "Each image")["augment"]
    torch.manual_seed(5)
    torch.testing.assert_close(own(x), expected)


def test_images_that_only_shift_do_so_by_whole_pixels():
    own = names_of(TrainConfig(translation=2.5), "Each image")["augment"]
    x = torch.zeros(200, 1, 28, 28)
    x[:, 0, 14, 14] = 1
    moved = own(x)[:, 0].flatten(1)
    assert moved.max(dim=1).values == pytest.approx(1, abs=1e-4)
    places = moved.argmax(dim=1)
    assert set((places // 28).tolist()) == set((places % 28).tolist()) == {12, 13, 14, 15, 16}


@pytest.mark.parametrize("schedule", ["constant", "one-cycle", "cosine", "step"])
def test_the_learning_rate_moves_as_in_the_lab(schedule):
    config = TrainConfig(schedule=schedule, epochs=4, learning_rate=0.3, step_epochs=2, step_factor=0.2)
    rate = names_of(config, "Learning rate", LEARNING_RATE=0.3, EPOCHS=4)["learning_rate"]
    for step in range(20):
        assert rate(step, 20) == pytest.approx(learning_rate_at(config, step, 5))


def test_a_script_has_as_few_images_and_as_many_wrong_labels():
    labels = torch.arange(1000) % 10
    config = TrainConfig(validation_fraction=0.2, train_share=0.25, label_noise=0.3, normalization="unit")
    code = next(part.code for part in parts(card(config)) if part.title == "The images")
    for read in ("images, labels = load(train=True)", "test_images, test_labels = load(train=False)"):
        code = code.replace(read, "")
    names = {"torch": torch, "labels": labels.clone(), "images": torch.zeros(1000, 1, 28, 28, dtype=torch.uint8)}
    exec(code, names)
    rows, wrong = names["train_rows"], names["labels"] != labels
    assert torch.bincount(labels[rows], minlength=10).tolist() == [20] * 10  # a quarter of the 80 that are left
    assert int(wrong[rows].sum()) == int(wrong.sum()) == 60
    assert len(names["val_rows"]) == 200
    assert "but others" in code


def test_what_a_script_cannot_do_is_said():
    for settings, said in (
        ({"dataset": "folder:~/mine"}, "torchvision has no"),
        ({"dataset": "digits"}, "There are scripts of trainings on MNIST"),
        ({"teachers": "best"}, "learns from other models (teachers)"),
        ({"init_from": "best"}, "init_from"),
        ({"extra": "drawings:a.json"}, "further drawings"),
        ({"non_digits": 9}, "drawings of no digit"),
    ):
        config = TrainConfig(**settings)
        assert said in why_not(config)
        with pytest.raises(ConfigError):
            parts(card(TrainConfig()).model_copy(update={"config": config}))


def test_a_fresh_interpreter_trains_by_the_script(small_mnist):
    config = (
        RECIPES["quick"]
        .config("mnist")
        .replace(
            epochs=6, batch_size=64, validation_fraction=0.15, ema_decay=0.9, keep="best", patience=5, l2_first=1e-4
        )
    )
    (small_mnist / "mine.py").write_text(script(card(config)), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-I", "mine.py", "3"],
        cwd=small_mnist,
        env={**os.environ, "DATA": str(small_mnist)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    *epochs, test = done.stdout.splitlines()
    assert len(epochs) <= 6
    assert float(test.rpartition("accuracy ")[2].rstrip("%")) > 90
    weights = torch.load(small_mnist / "weights.pt", weights_only=True)
    assert sum(tensor.numel() for name, tensor in weights.items() if "running" not in name) >= 24_954
