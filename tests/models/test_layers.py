"""Descriptions of layers against the modules of torch that are made from them."""

import pytest
from torch import nn

from mnist_core.config import Shape, TrainConfig
from mnist_core.models import layers
from mnist_core.models.architectures import MODELS, describe
from mnist_core.models.classifier import build_model
from mnist_core.models.layers import named_layers, tensor_shapes


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("shape", [Shape(), Shape(3, 40, 33, 4)])
def test_shapes_of_tensors_are_those_of_torchs_state(name, batch_norm, shape):
    config = TrainConfig(model=name, batch_norm=batch_norm)
    state = build_model(config, shape).net.state_dict()
    assert list(tensor_shapes(describe(config, shape)).items()) == [
        (key, tuple(tensor.shape)) for key, tensor in state.items()
    ]


@pytest.mark.parametrize("name", MODELS)
def test_layers_have_the_names_and_order_of_torchs_modules(name):
    config = TrainConfig(model=name)
    modules = build_model(config, Shape()).net.named_modules()
    theirs = [(key, type(module).__name__) for key, module in modules if not isinstance(module, nn.Sequential)]
    described = named_layers(describe(config, Shape()))
    assert [(key, getattr(layer, "kind", type(layer).__name__)) for key, layer in described] == theirs


def test_names_within_containers_are_paths():
    inner = layers.Residual(layers.Flatten(), layers.Sequential(layers.Dropout(0.5)))
    network = layers.Sequential(layers.Linear(2, 3), inner)
    assert [name for name, _ in named_layers(network)] == ["0", "1.0", "1.1.0"]
    assert tensor_shapes(network) == {"0.weight": (3, 2), "0.bias": (3,)}


def test_equal_descriptions_are_equal():
    """They are values: a residual block is no plain sequence of the same layers."""
    one, other = (layers.Sequential(layers.Conv2d(1, 2, 3), layers.Activation("ReLU")) for _ in range(2))
    assert one == other
    assert hash(one) == hash(other)
    assert one != layers.Sequential(layers.Conv2d(1, 2, 5), layers.Activation("ReLU"))
    assert layers.Residual(*one.layers) != one
