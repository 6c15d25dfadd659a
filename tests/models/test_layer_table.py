"""The table of layers against a pass through torch's modules, cases counted by hand, and gradients."""

import itertools

import pytest
import torch
from torch import nn

from mnist_core.config import Shape, TrainConfig, field_choices
from mnist_core.models.architectures import MODELS
from mnist_core.models.classifier import build_model, count_parameters
from mnist_core.models.layer_table import layer_table

every_model = pytest.mark.parametrize("name", MODELS)


@every_model
@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("head", field_choices("head"))
@pytest.mark.parametrize("shape", [Shape(), Shape(3, 40, 33, 4)])
def test_rows_are_what_torchs_modules_give_and_learn(name, batch_norm, head, shape):
    config = TrainConfig(model=name, batch_norm=batch_norm, head=head)
    model = build_model(config, shape, [0.1] * shape.channels, [0.3] * shape.channels).eval()
    found: list[tuple[str, str, tuple[int, ...], int]] = []

    def note(name: str, module: nn.Module, output: torch.Tensor) -> None:
        own = sum(p.numel() for p in module.parameters() if p.requires_grad)
        found.append((name.removeprefix("net."), type(module).__name__, tuple(output.shape[1:]), own))

    for key, module in model.named_modules():
        if not list(module.children()):
            module.register_forward_hook(lambda module, _, output, key=key: note(key, module, output))
    with torch.no_grad():
        model(torch.zeros(2, shape.channels, shape.height, shape.width))
    table = layer_table(config, shape)
    assert [(row.name, row.kind, row.output_shape, row.parameters) for row in table] == found
    assert model.table == table
    assert sum(row.parameters for row in table) == count_parameters(model) == sum(p.numel() for p in model.parameters())
    assert len({row.name for row in table}) == len(table)
    assert table[-1].output_shape == (shape.classes,)


def test_the_layer_table_is_in_execution_order():
    table = layer_table(TrainConfig(model="two-conv", batch_norm=False), Shape())
    rows = [(row.kind, row.output_shape, row.parameters) for row in table]
    assert rows == [
        ("Conv2d", (32, 26, 26), 320),
        ("ReLU", (32, 26, 26), 0),
        ("Dropout", (32, 26, 26), 0),
        ("Conv2d", (64, 24, 24), 18_496),
        ("ReLU", (64, 24, 24), 0),
        ("MaxPool2d", (64, 12, 12), 0),
        ("Flatten", (9216,), 0),
        ("Linear", (128,), 1_179_776),
        ("ReLU", (128,), 0),
        ("Linear", (10,), 1_290),
    ]


# a kernel of k at a stride so far of s widens by (k - 1) · s
FIELDS = {
    "compact": {
        "Conv2d": [3, 5, 7, 11, 15, 23, 31],
        "MaxPool2d": [7, 15],
        "AdaptiveAvgPool2d": [None],
        "Flatten": [None],
    },
    "three-conv": {"Conv2d": [3, 8, 18], "MaxPool2d": [4, 10, 22], "Flatten": [None], "Linear": [None, None]},
    "quick-cnn": {"Conv2d": [5, 9, 19], "MaxPool2d": [11], "MaxMeanPool": [None]},
    # the branch around a shortcut's two convolutions is the wider one
    "small-resnet": {
        "Conv2d": [3, 5, 10, 14, 18, 28, 48, 64],
        "MaxPool2d": [6, 20, 32],
        "MaxMeanPool": [None],
        "Linear": [None],
    },
    "mlp": {"Flatten": [None], "Linear": [None, None, None]},
}


@pytest.mark.parametrize("name", FIELDS)
def test_receptive_fields_are_those_computed_by_hand(name):
    rows = layer_table(TrainConfig(model=name), Shape())
    for kind, expected in FIELDS[name].items():
        found = [row.receptive_field for row in rows if row.kind == kind]
        assert found == expected
    # what has no kernel sees what the layer before it saw
    for before, row in itertools.pairwise(rows):
        if row.kind in ("ReLU", "BatchNorm2d"):
            assert row.receptive_field == before.receptive_field


@pytest.mark.parametrize("name", ["compact", "three-conv", "small-resnet", "lab-cnn"])
def test_a_changed_pixel_acts_within_the_receptive_field(name):
    shape = Shape(1, 96, 96, 10)
    config = TrainConfig(model=name, activation="tanh")
    model = build_model(config, shape, [0.1], [0.3]).eval()
    for row in layer_table(config, shape):
        if row.kind != "Conv2d":
            continue
        images = torch.rand(1, 1, 96, 96, requires_grad=True)
        noted: dict[nn.Module, torch.Tensor] = {}
        layer = model.net.get_submodule(row.name)
        with layer.register_forward_hook(lambda module, _, output, into=noted: into.update({module: output})):
            model(images)
        middle = row.output_shape[1] // 2
        noted[layer][0, :, middle, middle].sum().backward()
        felt = images.grad[0, 0].abs().sum(dim=0).nonzero()
        # a maximum lets only its winner through: some pixels at the rim may not be felt
        reach = (felt.max() - felt.min() + 1).item()
        assert 0.6 * row.receptive_field <= reach <= row.receptive_field
