import numpy as np
import pytest
import torch

from mnist_core.config import Shape
from mnist_core.errors import ConfigError
from mnist_core.explain.activations import activations
from mnist_core.explain.maximisation import maximise, most_exciting, unit_answers


def test_a_linear_units_maximum_is_known(network):
    """Without penalties: white where the weight is positive, black elsewhere."""
    model = network("mlp")
    found = maximise(model, "1", 9, Shape(), shrinkage=0, smoothness=0)
    weights = model.net[1].weight[9].detach().numpy().reshape(28, 28)
    assert ((found.image[0] > 127) == (weights > 0)).mean() > 0.99
    assert found.value > found.ground_value


@pytest.mark.parametrize("name", ["small-cnn", "compact", "dense", "residual-cnn"])
def test_a_unit_answers_more_than_to_any_of_many_images(name, network):
    model = network(name)
    shown = [a for a in activations(model, np.zeros((28, 28), np.uint8)) if a.parameters]
    images = torch.randint(0, 256, (50, 1, 28, 28), dtype=torch.uint8)
    for layer in (shown[0].name, shown[-1].name):
        found = maximise(model, layer, 2, Shape())
        with torch.inference_mode():
            assert found.value > float(unit_answers(model, layer, images / 255)[:, 2].max())
            again = unit_answers(model, layer, torch.from_numpy(found.image)[None] / 255)[0, 2]
        assert found.value == pytest.approx(float(again), abs=1e-4)


def test_the_same_seed_gives_the_same_image(network):
    images = [maximise(network("small-cnn"), "4", 1, Shape(), seed).image for seed in (0, 0, 1)]
    assert (images[0] == images[1]).all()
    assert (images[0] != images[2]).any()


def test_most_exciting_images_are_those_of_a_plain_sort(network):
    model = network("small-cnn")
    images = np.random.default_rng(0).integers(0, 256, (30, 1, 28, 28), dtype=np.uint8)
    rows, answers = most_exciting(model, "1", images)
    by_hand = np.array([activations(model, image)[1].output.mean(axis=(1, 2)) for image in images])
    assert rows.shape == (16, 9)
    for unit in range(16):
        assert rows[unit].tolist() == np.argsort(-by_hand[:, unit], kind="stable")[:9].tolist()
    np.testing.assert_allclose(answers, np.take_along_axis(by_hand.T, rows, axis=1), atol=1e-5)


def test_an_unknown_unit_is_said(network):
    with pytest.raises(ConfigError, match="16 units"):
        maximise(network("small-cnn"), "0", 16, Shape())
