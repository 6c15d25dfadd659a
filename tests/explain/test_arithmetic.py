"""The arithmetic of one value: by hand, and against every layer of every architecture."""

import numpy as np
import pytest
import torch

from mnist_core.errors import ConfigError
from mnist_core.explain.activations import activations
from mnist_core.explain.arithmetic import arithmetic, weighted_layer
from mnist_core.models.architectures import MODELS


@pytest.mark.parametrize("name", MODELS)
def test_values_of_all_layers_come_out_as_the_network_has_them(name, network, stroke):
    model = network(name)
    random = np.random.default_rng(1)
    for activation in activations(model, stroke):
        if activation.kind in ("Conv2d", "Linear"):
            unit, *place = (int(random.integers(size)) for size in activation.output.shape)
            found = arithmetic(model, stroke, activation.name, unit, *place)
            scale = max(1.0, abs(found.value), np.abs(found.products).sum())
            assert found.total == pytest.approx(float(activation.output[unit, *place]), abs=1e-5 * scale)
            assert found.error < 1e-4 * scale


def test_a_pixel_at_the_edge_by_hand(network, stroke):
    model = network("small-cnn")  # its first kernel is 5×5, moves by 2, and reaches 2 pixels into the padding
    found = arithmetic(model, stroke, "0", 3, 0, 5)
    assert found.corner == (-2, 8)
    weight, normalised = model.net[0].weight[3, 0].detach().numpy(), (stroke / 255 - 0.3) / 0.4
    by_hand = sum(weight[r + 2, c] * normalised[r, c + 8] for r in range(3) for c in range(5))
    assert found.total == pytest.approx(by_hand, abs=1e-5)
    assert found.patch[0, :2].tolist() == np.zeros((2, 5)).tolist()
    assert found.bias == 0
    assert [step.kind for step in found.steps] == ["BatchNorm2d", "ReLU"]
    norm = model.net[1]
    normal = (by_hand - norm.running_mean[3]) / torch.sqrt(norm.running_var[3] + norm.eps) * norm.weight[3] + norm.bias[
        3
    ]
    normal = normal.detach()
    assert found.steps[0].after == pytest.approx(float(normal), abs=1e-4)
    assert found.value == pytest.approx(max(0.0, float(normal)), abs=1e-4)


def test_pooling_before_batch_norm_is_a_step(network, stroke):
    model = network("quick-cnn")
    layers = {a.name: a for a in activations(model, stroke)}
    found = arithmetic(model, stroke, "3", 7, 4, 9)
    assert [step.kind for step in found.steps] == ["MaxPool2d", "BatchNorm2d", "ReLU"]
    assert found.steps[0].after == pytest.approx(float(layers["3"].output[7, 4:6, 8:10].max()))
    assert found.value == pytest.approx(float(layers["6"].output[7, 2, 4]), abs=1e-4)


def test_a_depthwise_kernel_reads_its_own_channel(network, stroke):
    model = network("separable-cnn")
    found = arithmetic(model, stroke, "3", 11, 2, 3)
    given = {a.name: a for a in activations(model, stroke)}["3"].given
    assert found.patch.shape == (1, 3, 3)
    assert found.patch[0].tolist() == given[11, 3:6, 5:8].tolist()


@pytest.mark.parametrize(
    ("name", "place", "message"),
    [
        ("1", (0, 0, 0), "BatchNorm2d"),
        ("none", (0, 0, 0), "no layer"),
        ("0", (16, 0, 0), "16 units"),
        ("0", (0, 14, 0), "14 rows"),
        ("0", (0, 0, -1), "14 columns"),
    ],
)
def test_what_is_not_there_is_said(name, place, message, network, stroke):
    with pytest.raises(ConfigError, match=message):
        arithmetic(network("small-cnn"), stroke, name, *place)


def test_a_layer_without_weights_shows_the_sums_before_it(network, stroke):
    found = activations(network("small-cnn"), stroke)
    sources = {a.name: weighted_layer(found, a.name) for a in found}
    assert [sources[name] for name in "0123456"] == ["0", "0", "0", "3", "3", "3", "3"]
    kinds = {a.kind: sources[a.name] for a in found}
    assert kinds["MaxMeanPool"] is None
    assert kinds["Linear"] == found[-1].name


def test_a_sum_of_a_shortcut_has_no_single_source(network, stroke):
    found = activations(network("residual-cnn"), stroke)
    assert {weighted_layer(found, a.name) for a in found if a.kind == "Residual"} == {None}
