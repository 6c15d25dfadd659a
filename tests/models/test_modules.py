"""Modules made from descriptions: each against torch's own, and all weights as earlier versions drew them."""

import pytest
import torch
from torch import nn

from mnist_core.config import Shape, TrainConfig
from mnist_core.models import layers
from mnist_core.models.architectures import MODELS
from mnist_core.models.classifier import build_model
from mnist_core.models.modules import MaxMeanPool, Residual, build

PAIRS = [
    (layers.Conv2d(4, 8, 3, 2, 1, groups=2, bias=False), lambda: nn.Conv2d(4, 8, 3, 2, 1, groups=2, bias=False)),
    (layers.Conv2d(1, 2, 5), lambda: nn.Conv2d(1, 2, 5)),
    (layers.BatchNorm1d(7), lambda: nn.BatchNorm1d(7)),
    (layers.BatchNorm2d(7), lambda: nn.BatchNorm2d(7)),
    (layers.Activation("LeakyReLU"), lambda: nn.LeakyReLU()),
    (layers.Activation("GELU"), lambda: nn.GELU()),
    (layers.MaxPool2d(2), lambda: nn.MaxPool2d(2)),
    (layers.MaxPool2d(3, stride=2, padding=1), lambda: nn.MaxPool2d(3, 2, 1)),
    (layers.AdaptiveAvgPool2d(1), lambda: nn.AdaptiveAvgPool2d(1)),
    (layers.Flatten(), lambda: nn.Flatten()),
    (layers.Linear(5, 3), lambda: nn.Linear(5, 3)),
    (layers.Dropout(0.3), lambda: nn.Dropout(0.3)),
    (
        layers.Sequential(layers.Conv2d(1, 4, 3), layers.Activation("Tanh"), layers.Residual(layers.Conv2d(4, 4, 1))),
        lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), Residual(nn.Conv2d(4, 4, 1))),
    ),
]


@pytest.mark.parametrize(("described", "make"), PAIRS, ids=lambda value: type(value).__name__)
def test_a_described_layer_is_torchs_module(described, make):
    torch.manual_seed(5)
    expected = make()
    torch.manual_seed(5)
    module = build(described)
    assert repr(module) == repr(expected)
    assert type(module) is type(expected)
    assert module.state_dict().keys() == expected.state_dict().keys()
    for name, tensor in expected.state_dict().items():
        assert torch.equal(module.state_dict()[name], tensor), name


# By the code of version 0.1 for seed 0, with batch norm and without: the first of the first weights, the last of the
# middle ones, and the last bias, which each depend on all that was drawn before.
DRAWN = {
    "small-cnn": ((0.1791562, -0.0026882, 0.0357125), (0.1482386, -0.042055, 0.0348847)),
    "quick-cnn": ((0.1791562, -0.0026882, 0.0357125), (0.1482386, -0.042055, 0.0348847)),
    "lab-cnn": ((-0.0024956, -0.0188778, 0.0558478), (-0.0024956, 0.036593, -0.0336822)),
    "wide-cnn": ((-0.0024956, -0.0264197, -0.0005253), (-0.0024956, -0.0233561, -0.0251568)),
    "separable-cnn": ((-0.0024956, 0.1601896, -0.0323874), (-0.0024956, -0.0445763, -0.0099009)),
    "two-conv": ((-0.0024956, -0.0059173, 0.0238685), (-0.0024956, -0.0059173, 0.0238685)),
    "compact": ((-0.0024956, 0.003702, -0.0384956), (-0.0024956, 0.0231778, -0.0284967)),
    "three-conv": ((-0.0024956, -0.0338979, -0.0203601), (-0.0024956, 0.0145164, 0.0575411)),
    "two-conv-fc3": ((-0.0024956, -0.0099485, -0.0638611), (-0.0024956, 0.0072318, 0.044904)),
    "residual-cnn": ((-0.0024956, -0.0338561, 0.0787843), (-0.0024956, 0.0091597, 0.0024309)),
    "wide-residual-cnn": ((-0.0024956, 0.0073249, -0.0116454), (-0.0024956, -0.0349089, -0.0496262)),
    "small-resnet": ((-0.0024956, 0.0073249, -0.025394), (-0.0024956, -0.0349089, 0.0370819)),
    "mlp": ((-0.0002674, 0.0467648, -0.0050351), (-0.0002674, 0.0467648, -0.0050351)),
    "dense": ((-0.0002674, -0.0105583, 0.0717418), (-0.0002674, -0.0105583, 0.0717418)),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("batch_norm", [True, False])
def test_a_seed_draws_the_weights_that_it_always_drew(name, batch_norm):
    """Or published figures and stored runs could not be repeated."""
    torch.manual_seed(0)
    parameters = list(build_model(TrainConfig(model=name, batch_norm=batch_norm), Shape()).parameters())
    weights = [tensor for tensor in parameters if tensor.dim() > 1]
    values = weights[0].flatten()[0], weights[len(weights) // 2].flatten()[-1], parameters[-1].flatten()[-1]
    assert [value.item() for value in values] == pytest.approx(DRAWN[name][not batch_norm], abs=2e-7)


def test_a_shortcut_adds_what_came_in():
    x = torch.randn(2, 3, 5, 5)
    conv = nn.Conv2d(3, 3, 3, padding=1)
    torch.testing.assert_close(Residual(conv)(x), x + conv(x))


def test_max_mean_pool_by_hand():
    x = torch.tensor([[[[1.0, 2.0], [3.0, 6.0]], [[-1.0, -1.0], [-1.0, -5.0]]]])
    assert MaxMeanPool()(x).tolist() == [[6.0, -1.0, 3.0, -2.0]]
