"""Why a training learned nothing: against scipy's binomial distribution, and by cases with one cause each."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from mnist_core.config import TrainConfig
from mnist_core.errors import ConfigError, DataError
from mnist_core.recipes import get_recipe
from mnist_core.runs.execute import execute
from mnist_core.runs.history import latest
from mnist_core.runs.run import create_run
from mnist_core.training.checks import check_batches, check_data
from mnist_core.training.diagnosis import Measured, diagnose, diagnose_divergence, tail_probability
from mnist_core.training.state import TrainState
from tests.helpers.runs import CONFIG, created, events

CHANCE = Measured(
    val_accuracy=0.1,
    val_images=1000,
    largest_share=0.11,
    classes=10,
    steps=1000,
    train_images=9000,
    train_loss=2.3,
    train_accuracy=0.1,
    answers=3,
    recipe_rate=0.001,
)
USUAL = TrainConfig(dataset="digits", learning_rate=0.001, normalization="standard", batch_size=64)


@pytest.mark.parametrize(("right", "images", "share"), [(0, 10, 0.3), (5, 10, 0.3), (130, 1000, 0.1), (10, 10, 0.5)])
def test_the_tail_is_that_of_the_binomial_distribution(right, images, share):
    assert tail_probability(right, images, share) == pytest.approx(binom.sf(right - 1, images, share), rel=1e-9)


@pytest.mark.parametrize(("accuracy", "said"), [(0.05, True), (0.13, True), (0.14, False), (0.99, False)])
def test_no_better_than_guessing_is_within_chance(accuracy, said):
    """Of 1,000 images, 110 are right by naming the most frequent class; more than 134 have a chance below 1 %."""
    assert bool(diagnose(USUAL, replace(CHANCE, val_accuracy=accuracy))) is said


@pytest.mark.parametrize(
    ("settings", "measured", "words"),
    [
        ({}, {"train_loss": 8.0}, "above the 2.30 of guessing"),
        ({"learning_rate": 1.0}, {}, "rate of 1 is too high: 0.001 is usual"),
        ({"learning_rate": 1e-6}, {}, "rate of 1e-06 is too low"),
        ({}, {"steps": 9}, "9 batches are too few"),
        ({}, {"steps": 9, "stopped": True}, "stopped after 9 batches: resume it"),
        ({"learning_rate": 1.0}, {"stopped": True}, "rate of 1 is too high"),
        ({}, {"train_accuracy": 0.9}, "knows its training images (90.0%)"),
        ({"batch_norm": False}, {"answers": 1}, "same class to every image"),
        ({"precision": "bfloat16"}, {}, "float32"),
        ({"normalization": "unit"}, {}, "normalization standard"),
        ({}, {}, "cannot be told from the measurements"),
        ({}, {"train_accuracy": math.nan}, "cannot be told from the measurements"),
    ],
)
def test_the_likeliest_cause_is_named(settings, measured, words):
    assert words in diagnose(USUAL.replace(**settings), replace(CHANCE, **measured))


def test_a_run_that_learned_nothing_says_so_in_its_end(tmp_path, capfd):
    run = created(tmp_path, epochs=1, learning_rate=1e-6, ema_decay=0.0)
    execute(run)
    sentence = latest(events(run), "end", "diagnosis")
    assert "no better than guessing" in sentence
    assert sentence in capfd.readouterr().err


def test_a_run_that_is_stopped_without_having_learned_says_so(tmp_path):
    run = created(tmp_path, epochs=2, learning_rate=1e-6, ema_decay=0.0)
    execute(run, on_event=lambda event: run.command("stop") if event.get("step") == 3 else None)
    assert run.status().state == "stopped"
    assert "rate of 1e-06 is too low" in latest(events(run), "end", "diagnosis")


def test_a_run_that_is_stopped_after_learning_has_no_diagnosis(tmp_path):
    run = created(tmp_path)
    execute(run, on_event=lambda event: run.command("stop") if event["event"] == "epoch" else None)
    assert run.status().state == "stopped"
    assert latest(events(run), "end", "diagnosis") is None


def test_a_run_that_diverges_says_why_in_its_end(tmp_path, capfd):
    wild = {"optimizer": "sgd", "learning_rate": 10.0, "activation": "leaky-relu", "batch_size": 32}
    run = create_run(get_recipe("mlp-baseline").config("digits").replace(**wild), tmp_path)
    execute(run)
    assert run.status().state == "failed"
    sentence = latest(events(run), "end", "diagnosis")
    assert re.search(r"rate of 10 \(at that step .*\) is too high: 0\.\d+ is usual here", sentence)
    assert sentence in capfd.readouterr().err


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"learning_rate": 0.1}, "is too high: 0.001 is usual"),
        ({"precision": "bfloat16"}, "float32"),
        ({"schedule": "constant"}, "try 0.0001, or the schedule one-cycle"),
    ],
)
def test_a_divergence_has_a_cause(settings, said):
    assert said in diagnose_divergence(USUAL.replace(**settings), 0.001)


def test_a_run_that_learned_has_no_diagnosis(tmp_path):
    run = created(tmp_path)
    execute(run)
    assert run.status().state == "completed"
    assert latest(events(run), "end", "diagnosis") is None


def test_equal_labels_and_equal_images_are_refused(tiny_data):
    with pytest.raises(DataError, match="same label"):
        TrainState(CONFIG, replace(tiny_data, train_labels=np.zeros_like(tiny_data.train_labels)))
    with pytest.raises(DataError, match="pixel by pixel"):
        TrainState(CONFIG, replace(tiny_data, train_images=np.full_like(tiny_data.train_images, 7)))


def test_one_image_that_differs_is_enough():
    images = np.zeros((50, 1, 8, 8), np.uint8)
    images[-1, 0, 3, 3] = 1
    check_data(images, np.arange(50) % 2)


def test_batch_norm_refuses_batches_of_one_image(tiny_data):
    model = TrainState(CONFIG.replace(model="small-cnn"), tiny_data).model
    with pytest.raises(ConfigError, match="batch norm off"):
        check_batches(CONFIG, model, 1)
    check_batches(CONFIG, model, 2)
    plain = TrainState(CONFIG.replace(model="mlp", batch_norm=False), tiny_data).model
    check_batches(CONFIG, plain, 1)
