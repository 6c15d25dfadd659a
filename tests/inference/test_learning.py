"""When images were learned and forgotten, by hand; a network's answers and first layer, against torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mnist_core.config import Shape, TrainConfig
from mnist_core.explain.neighbours import features
from mnist_core.inference.first_layer import filters, maps
from mnist_core.inference.learning import (
    MOST_POINTS,
    answers,
    fixed_digits,
    learning_order,
    sample,
)
from mnist_core.models.architectures import MODELS
from tests.helpers.checkpoints import saved


def test_order_of_learning_by_hand():
    right = np.array(
        [
            # from the first, learned at 2, forgotten once, twice, lost at the end, never
            [1, 0, 1, 1, 1, 0],
            [1, 0, 0, 0, 1, 0],
            [1, 1, 1, 1, 1, 0],
            [1, 1, 1, 0, 1, 0],
            [1, 1, 1, 1, 0, 0],
        ],
        bool,
    )
    order = learning_order(right)
    assert order.learned.tolist() == [0, 2, 2, 4, 5, 5]
    assert order.forgotten.tolist() == [0, 0, 1, 2, 1, 0]
    assert order.last(10).tolist() == [3, 1, 2]
    assert order.last(1).tolist() == [3]
    assert order.often_forgotten(10).tolist() == [3, 2, 4]


def test_of_a_single_snapshot_nothing_is_forgotten():
    order = learning_order(np.array([[True, False]]))
    assert order.forgotten.tolist() == [0, 0]
    assert not len(order.last(5))


def test_the_sample_is_the_same_every_time_and_without_doubles():
    assert len(set(sample(5000).tolist())) == 2000
    assert sorted(sample(30).tolist()) == list(range(30))
    assert np.array_equal(sample(5000), sample(5000))


def test_answers_are_those_of_torch(tmp_path):
    shape = Shape(3, 32, 32, 4)
    checkpoint = saved(tmp_path / "c", TrainConfig(model="residual-cnn"), shape)
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (1100, 3, 32, 32), dtype=np.uint8)
    labels = random.integers(0, 4, 1100)
    found = answers(checkpoint, images, labels)
    with torch.inference_mode():
        logits = torch.from_numpy(checkpoint.model.infer(images))
    np.testing.assert_allclose(found.probabilities, logits.softmax(1), atol=1e-4)
    assert found.loss == pytest.approx(torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels)).item(), 1e-3)
    counted = np.zeros((4, 4), int)
    for true, said in zip(labels, found.predicted, strict=True):
        counted[true, said] += 1
    assert np.array_equal(found.confusion, counted)
    assert found.accuracy == np.trace(counted) / 1100
    np.testing.assert_allclose(found.features, features(checkpoint.model, images[:MOST_POINTS]), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("shape", [Shape(), Shape(3, 32, 32, 4)], ids=["grey", "colour"])
@pytest.mark.parametrize("model", MODELS)
def test_the_first_layer_is_that_of_torch(model, shape, tmp_path):
    checkpoint = saved(tmp_path / "c", TrainConfig(model=model, activation="gelu"), shape)
    first = next(m for m in checkpoint.model.net.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear))
    shown = filters(checkpoint)
    assert shown is not None
    assert np.array_equal(shown.reshape(len(shown), -1), first.weight.detach().flatten(1)[:32])
    image = np.random.default_rng(1).integers(0, 256, (shape.channels, shape.height, shape.width), dtype=np.uint8)
    found = maps(checkpoint, image)
    if isinstance(first, torch.nn.Linear):
        assert found is None
        return
    net, x = checkpoint.model, torch.from_numpy(image)[None] / 255
    answer = (x - net.mean) / net.std
    answered = []
    with torch.inference_mode():
        for layer in net.net:
            answer = layer(answer)
            answered.append(answer[0])
    assert any(
        each.shape == (first.out_channels, *found.shape[1:]) and np.allclose(each[:32], found, atol=1e-4)
        for each in answered[1:]
    )


def test_fixed_digits_have_as_many_of_each_class_as_there_can_be():
    labels = np.array([3, 3, 3, 1, 0, 0, 3])
    assert fixed_digits(labels, 4).tolist() == [4, 5, 3, 0]
    assert fixed_digits(labels, 100).tolist() == [4, 5, 3, 0, 1, 2, 6]
