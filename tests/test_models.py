"""Over the whole registry; parameter counts are computed here by hand."""

import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mnist_core.architectures import ACTIVATIONS, MODELS, MaxMeanPool
from mnist_core.config import Shape, TrainConfig, field_choices
from mnist_core.errors import ConfigError
from mnist_core.models import Classifier, build_model, count_parameters, layer_table

every_model = pytest.mark.parametrize("name", MODELS)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def build(name: str, shape: Shape | None = None, **settings: object) -> Classifier:
    shape = shape or Shape()
    config = TrainConfig(model=name, **settings)
    return build_model(config, shape, [0.1] * shape.channels, [0.3] * shape.channels)


@every_model
@pytest.mark.parametrize("classes", [2, 7, 10])
@pytest.mark.parametrize(("channels", "side"), [(1, 28), (3, 32)])
def test_images_become_a_logit_per_class(name, channels, side, classes):
    model = build(name, Shape(channels, side, side, classes))
    logits = model(torch.rand(4, channels, side, side))
    assert logits.shape == (4, classes)
    assert logits.dtype == torch.float32
    assert torch.isfinite(logits).all()


@every_model
@pytest.mark.parametrize("batch_norm", [True, False])
def test_the_layer_table_adds_up_to_the_parameter_count(name, batch_norm):
    shape = Shape(3, 32, 32, 4)
    model = build(name, shape, batch_norm=batch_norm)
    table = layer_table(model, shape)
    assert sum(layer.parameters for layer in table) == count_parameters(model)
    assert count_parameters(model) == sum(p.numel() for p in model.parameters())
    assert table[-1].output_shape == (4,)
    assert len({layer.name for layer in table}) == len(table)
    assert model.training


def test_the_layer_table_is_in_order_of_execution_and_leaves_the_mode():
    model = build("two-conv", batch_norm=False).eval()
    rows = [(layer.kind, layer.output_shape, layer.parameters) for layer in layer_table(model, Shape())]
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
    assert not model.training


@pytest.mark.parametrize(
    ("name", "batch_norm", "expected"),
    [
        ("two-conv", False, 32 * 9 + 32 + 64 * 32 * 9 + 64 + 64 * 12 * 12 * 128 + 128 + 128 * 10 + 10),
        ("two-conv", True, 32 * 9 + 32 + 2 * 32 + 64 * 32 * 9 + 64 + 64 * 12 * 12 * 128 + 128 + 128 * 10 + 10),
        ("mlp", False, 784 * 128 + 128 + 128 * 64 + 64 + 64 * 10 + 10),
        ("mlp", True, 784 * 128 + 128 + 2 * 128 + 128 * 64 + 64 + 2 * 64 + 64 * 10 + 10),
        ("small-cnn", True, 16 * 25 + 2 * 16 + 32 * 16 * 9 + 2 * 32 + 64 * 32 * 9 + 2 * 64 + 128 * 10 + 10),
        ("small-cnn", False, 16 * 25 + 16 + 32 * 16 * 9 + 32 + 64 * 32 * 9 + 64 + 128 * 10 + 10),
        (
            "lab-cnn",
            True,
            9 * (24 + 32 * 24 + 48 * 32 + 48 * 48 + 80 * 48) + 2 * (24 + 32 + 48 + 48 + 80) + 160 * 10 + 10,
        ),
    ],
)
def test_parameter_counts_are_those_computed_by_hand(name, batch_norm, expected):
    assert count_parameters(build(name, batch_norm=batch_norm)) == expected


@every_model
def test_the_summary_tells_the_true_number_of_parameters(name):
    number, unit = re.match(r"([\d.]+)(k|M) parameters", MODELS[name].summary).groups()
    told = float(number) * {"k": 1e3, "M": 1e6}[unit]
    assert told == pytest.approx(count_parameters(build(name)), rel=0.02)


@every_model
@pytest.mark.parametrize("batch_norm", [True, False])
def test_every_parameter_gets_a_finite_gradient(name, batch_norm):
    model = build(name, batch_norm=batch_norm, dropout=0.2)
    loss = F.cross_entropy(model(torch.rand(16, 1, 28, 28)), torch.arange(16) % 10)
    loss.backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert torch.isfinite(parameter.grad).all(), parameter_name
    assert sum(p.grad.abs().sum() for p in model.parameters()) > 0


@every_model
def test_the_batch_norm_switch_adds_and_removes_the_layers(name):
    assert any(isinstance(module, NORMS) for module in build(name, batch_norm=True).modules())
    assert not any(isinstance(module, NORMS) for module in build(name, batch_norm=False).modules())


@every_model
def test_dropout_makes_training_random_and_leaves_evaluation_alone(name):
    images = torch.rand(8, 1, 28, 28)
    dropping, steady = build(name, dropout=0.5, batch_norm=False), build(name, dropout=0.0, batch_norm=False)
    assert not torch.equal(dropping(images), dropping(images))
    assert torch.equal(steady(images), steady(images))
    assert torch.equal(dropping.eval()(images), dropping(images))


@every_model
@pytest.mark.parametrize("activation", field_choices("activation"))
def test_the_chosen_activation_is_the_only_one(name, activation):
    model = build(name, activation=activation)
    used = {type(module) for module in model.modules()} & set(ACTIVATIONS.values())
    assert used == {ACTIVATIONS[activation]}
    assert torch.isfinite(model(torch.rand(2, 1, 28, 28))).all()


def test_the_normalisation_belongs_to_the_model_but_not_to_its_weights():
    net = nn.Flatten()
    model = Classifier(net, [0.5, 0.25], [0.5, 0.125])
    images = torch.tensor([[[[1.0]], [[0.5]]]])
    assert model(images).tolist() == [[1.0, 2.0]]
    assert not {"mean", "std"} & set(model.state_dict())


def test_max_mean_pool_by_hand():
    x = torch.tensor([[[[1.0, 2.0], [3.0, 6.0]], [[-1.0, -1.0], [-1.0, -5.0]]]])
    assert MaxMeanPool()(x).tolist() == [[6.0, -1.0, 3.0, -2.0]]


@every_model
def test_the_same_seed_builds_the_same_weights(name):
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return torch.cat([p.flatten() for p in build(name).parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_an_unknown_model_lists_those_there_are():
    with pytest.raises(ConfigError, match=r"no model 'resnet'.*small-cnn.*mlp"):
        build_model(TrainConfig(model="resnet"), Shape())


@every_model
def test_a_size_is_refused_in_a_sentence_or_it_works(name):
    refused, broken = {}, []
    for side in range(4, 21):
        try:
            model = build(name, Shape(1, side, side, 3)).eval()
        except ConfigError as error:
            refused[side] = str(error)
            continue
        try:
            model(torch.rand(1, 1, side, side))
        except RuntimeError:
            broken.append(side)
    assert all(f"{side}×{side}" in reason and name in reason for side, reason in refused.items())
    assert not broken, f"{name} is built for these sizes, and cannot read them"


def test_convolutions_refuse_images_smaller_than_their_kernels_reach():
    for name in set(MODELS) - {"mlp"}:
        with pytest.raises(ConfigError, match="at least"):
            build(name, Shape(1, 28, 4, 10))
