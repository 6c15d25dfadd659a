"""Attacks against a gradient by hand, a linear model whose smallest strength is known, and their bounds."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mnist_core.config import Shape
from mnist_core.errors import ConfigError
from mnist_core.explain.activations import activations
from mnist_core.explain.adversarial import METHODS, STEPS, attack, layer_changes, smallest_strength
from mnist_core.inference.predictor import Predictor


@pytest.fixture(scope="module")
def pen() -> Predictor:
    return Predictor("pen")


@pytest.fixture(scope="module")
def seven(pen) -> np.ndarray:
    from mnist_core.drawing.strokes import render_strokes

    drawn = pen.prepare(render_strokes([[[80, 70], [200, 70], [130, 220]]], (280, 280)))
    assert drawn is not None
    return drawn


def gradient(model: torch.nn.Module, x: torch.Tensor, label: int) -> torch.Tensor:
    """By plain autograd: the gradient of minus the label's log-probability."""
    x = x.clone().requires_grad_(True)
    (-torch.log_softmax(model(x), dim=1)[0, label]).backward()
    assert x.grad is not None
    return x.grad


def test_fgsm_is_one_step_of_the_gradients_sign(pen, seven):
    model = pen.checkpoint.model.eval()
    x = torch.from_numpy(seven).float()[None, None] / 255
    found = attack(model, seven, "fgsm", (3, 40))
    step = gradient(model, x, 7).sign()
    for strength in (3, 40):
        expected = (x + strength / 255 * step).clamp(0, 1)
        image = found.images[found.strengths.index(strength)]
        np.testing.assert_array_equal(image, (expected[0] * 255).round().numpy())


def test_pgd_is_twenty_projected_steps_from_a_seeded_start(pen, seven):
    model = pen.checkpoint.model.eval()
    x = torch.from_numpy(seven).float()[None, None] / 255
    found = attack(model, seven, "pgd", (12,), seed=5)
    strength = 12 / 255
    unit = torch.from_numpy(np.random.default_rng(5).uniform(-1, 1, x.shape)).float()
    moved = (x + strength * unit).clamp(0, 1)
    for _ in range(20):
        moved = moved + 2.5 * strength / 20 * gradient(model, moved, 7).sign()
        moved = x + (moved - x).clamp(-strength, strength)
        moved = moved.clamp(0, 1)
    expected = (moved[0].detach() * 255).round().numpy()
    image = found.images[1].astype(float)
    # where a gradient is nearly 0 its sign hangs on the order in which floats are added
    assert (np.abs(image - expected) > 1).mean() < 0.01
    assert STEPS == 20
    other = attack(model, seven, "pgd", (12,), seed=6)
    assert not np.array_equal(other.images[-1], found.images[-1])


@pytest.mark.parametrize("method", METHODS)
def test_no_pixel_moves_further_than_the_strength(method, pen, seven):
    strengths = (1, 2, 7, 30, 128)
    found = attack(pen.checkpoint.model, seven, method, strengths)
    assert found.images.dtype == np.uint8
    assert found.strengths == (0, *strengths)
    np.testing.assert_array_equal(found.images[0, 0], seven)
    for place, strength in enumerate(found.strengths):
        assert np.abs(found.change(place)).max() == strength
    np.testing.assert_allclose(found.probabilities, pen.probabilities(found.images), atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_the_smallest_strength_flips_and_less_does_not(method, pen, seven):
    model, shares = pen.checkpoint.model, []
    strength = smallest_strength(model, seven, method, shares.append)
    assert strength is not None
    answers = [attack(model, seven, method, (tried,)).answers.tolist() for tried in (strength, strength - 1)]
    assert answers[0][0] == answers[1][0] == answers[1][1] == 7
    assert answers[0][1] != 7
    assert shares == sorted(shares)


def linear(network, weights: torch.Tensor, bias: torch.Tensor):
    model = network("mlp", Shape(1, 4, 4, 2))
    layer = torch.nn.Linear(16, 2)
    layer.weight.data, layer.bias.data = weights, bias
    model.net = torch.nn.Sequential(torch.nn.Flatten(), layer)
    model.mean, model.std = torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1)
    return model.eval()


@pytest.mark.parametrize("method", METHODS)
def test_of_a_linear_model_the_smallest_strength_is_known(method, network):
    """Each pixel moves the margin by strength × |difference of its weights|, up to the margin."""
    torch.manual_seed(2)
    weights = torch.randn(2, 16)
    image = np.full((4, 4), 120, np.uint8)
    difference = weights[0] - weights[1]
    margin = 0.31 * float(difference.abs().sum())  # 0.31 of a pixel's range: 79.05 grey levels
    bias = torch.tensor([margin - float(difference.sum()) * 120 / 255, 0.0])
    model = linear(network, weights, bias)
    assert attack(model, image, method, (1,)).answers.tolist() == [0, 0]
    assert smallest_strength(model, image, method) == math.ceil(0.31 * 255)


def test_an_answer_that_holds_has_no_smallest_strength(network):
    model = linear(network, torch.zeros(2, 16), torch.tensor([3.0, 0.0]))
    assert smallest_strength(model, np.full((4, 4), 120, np.uint8), "pgd") is None


def test_colour_images_are_attacked_in_all_channels(network):
    model = network("small-cnn", Shape(3, 16, 16, 4))
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    found = attack(model, image, "fgsm", (5,))
    assert found.images.shape == (2, 3, 16, 16)
    assert (np.abs(found.change(1)).max(axis=(1, 2)) == 5).all()


def test_the_change_of_each_layer_is_relative_to_its_answer(pen, seven):
    model = pen.checkpoint.model
    before, after = activations(model, seven), activations(model, np.minimum(seven, 200))
    found = layer_changes(before, after)
    assert list(found) == [layer.name for layer in before]
    one, other = before[3].output.ravel().tolist(), after[3].output.ravel().tolist()
    moved = math.sqrt(sum((b - a) ** 2 for a, b in zip(one, other, strict=True)))
    assert found[before[3].name] == pytest.approx(moved / math.sqrt(sum(a * a for a in one)), rel=1e-4)
    assert set(layer_changes(before, before).values()) == {0.0}


def test_an_unknown_attack_is_a_sentence(pen, seven):
    with pytest.raises(ConfigError, match="There is no attack 'deepfool'; there are: fgsm, pgd"):
        attack(pen.checkpoint.model, seven, "deepfool", (1,))
