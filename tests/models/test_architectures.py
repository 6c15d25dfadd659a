"""Over the whole registry; parameter counts are computed here by hand."""

import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mnist_core.config import Shape, TrainConfig, field_choices
from mnist_core.errors import ConfigError
from mnist_core.models.architectures import ACTIVATIONS, MODELS, has_dropout
from mnist_core.models.classifier import Classifier, build_model, count_parameters
from mnist_core.models.layer_table import layer_table

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


@pytest.mark.parametrize(
    ("name", "batch_norm", "expected"),
    [
        ("two-conv", False, 32 * 9 + 32 + 64 * 32 * 9 + 64 + 64 * 12 * 12 * 128 + 128 + 128 * 10 + 10),
        ("two-conv", True, 32 * 9 + 32 + 2 * 32 + 64 * 32 * 9 + 64 + 64 * 12 * 12 * 128 + 128 + 128 * 10 + 10),
        ("mlp", False, 784 * 128 + 128 + 128 * 64 + 64 + 64 * 10 + 10),
        ("mlp", True, 784 * 128 + 128 + 2 * 128 + 128 * 64 + 64 + 2 * 64 + 64 * 10 + 10),
        ("small-cnn", True, 16 * 25 + 2 * 16 + 32 * 16 * 9 + 2 * 32 + 64 * 32 * 9 + 2 * 64 + 128 * 10 + 10),
        ("quick-cnn", True, 16 * 25 + 2 * 16 + 32 * 16 * 9 + 2 * 32 + 64 * 32 * 9 + 2 * 64 + 128 * 10 + 10),
        ("small-cnn", False, 16 * 25 + 16 + 32 * 16 * 9 + 32 + 64 * 32 * 9 + 64 + 128 * 10 + 10),
        (
            "lab-cnn",
            True,
            9 * (24 + 32 * 24 + 48 * 32 + 48 * 48 + 80 * 48) + 2 * (24 + 32 + 48 + 48 + 80) + 160 * 10 + 10,
        ),
        (
            "compact",
            True,
            9 * (16 + 32 * 16 + 32 * 16 + 38 * 16 + 10 * 38)
            + (16 * 32 + 16 * 32)
            + 2 * (16 + 32 + 16 + 32 + 16 + 38)
            + 10,
        ),
        ("three-conv", False, 9 * (32 + 64 * 32 + 128 * 64) + 224 + 128 * 3 * 3 * 256 + 256 + 256 * 10 + 10),
        (
            "two-conv-fc3",
            False,
            9 * (32 + 64 * 32) + 96 + 64 * 7 * 7 * 128 + 128 + 128 * 64 + 64 + 64 * 10 + 10,
        ),
        ("dense", False, 784 * 512 + 512 + 512 * 256 + 256 + 256 * 128 + 128 + 128 * 10 + 10),
        (
            "residual-cnn",
            True,
            9 * (16 + 32 * 16 + 2 * 32**2 + 64 * 32 + 2 * 64**2) + 2 * (16 + 3 * 32 + 3 * 64) + 128 * 10 + 10,
        ),
        (
            "wide-residual-cnn",
            True,
            9 * (32 + 64 * 32 + 2 * 64**2 + 128 * 64 + 2 * 128**2) + 2 * (32 + 3 * 64 + 3 * 128) + 256 * 10 + 10,
        ),
        (
            "small-resnet",
            True,
            9 * (32 + 64 * 32 + 2 * 64**2 + 128 * 64 + 256 * 128 + 2 * 256**2)
            + 2 * (32 + 3 * 64 + 128 + 3 * 256)
            + 512 * 10
            + 10,
        ),
    ],
)
def test_parameter_counts_are_those_computed_by_hand(name, batch_norm, expected):
    assert count_parameters(build(name, batch_norm=batch_norm)) == expected


def test_compact_is_no_larger_than_its_source():
    assert count_parameters(build("compact")) <= 19_865


@every_model
def test_a_log_softmax_head_gives_log_probabilities(name):
    torch.manual_seed(0)
    plain = build(name).eval()
    headed = build(name, head="log-softmax").eval()
    headed.load_state_dict(plain.state_dict())  # the head has no weights of its own
    images = torch.rand(6, 1, 28, 28)
    with torch.no_grad():
        logits, log = plain(images).double(), headed(images).double()
    torch.testing.assert_close(log.exp().sum(dim=1), torch.ones(6, dtype=torch.float64), atol=1e-6, rtol=0)
    expected = logits.exp() / logits.exp().sum(dim=1, keepdim=True)
    torch.testing.assert_close(log.exp(), expected, atol=1e-6, rtol=1e-5)
    assert torch.equal(log.argmax(dim=1), logits.argmax(dim=1))


@every_model
def test_l2_of_the_first_dense_layer_needs_one(name):
    dense = [module for module in build(name).modules() if isinstance(module, nn.Linear)]
    if not dense:
        with pytest.raises(ConfigError, match=f"{name} has no dense layer .* set it to 0"):
            build(name, l2_first=0.1)
    else:
        model = build(name, l2_first=0.1)
        first = next(row for row in layer_table(TrainConfig(model=name), Shape()) if row.kind == "Linear")
        assert model.first_dense is model.net.get_submodule(first.name)


def test_only_the_fully_convolutional_network_has_no_dense_layer():
    without = [name for name in MODELS if not any(isinstance(m, nn.Linear) for m in build(name).modules())]
    assert without == ["compact"]


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
def test_dropout_is_registered_as_it_is_built(name):
    assert has_dropout(name) == any(isinstance(module, nn.Dropout) for module in build(name).modules())


@every_model
def test_dropout_acts_in_training_and_not_in_evaluation(name):
    images = torch.rand(8, 1, 28, 28)
    dropping, steady = build(name, dropout=0.5, batch_norm=False), build(name, dropout=0.0, batch_norm=False)
    assert not torch.equal(dropping(images), dropping(images))
    assert torch.equal(steady(images), steady(images))
    assert torch.equal(dropping.eval()(images), dropping(images))


@every_model
@pytest.mark.parametrize("activation", field_choices("activation"))
def test_the_chosen_activation_is_the_only_one(name, activation):
    model = build(name, activation=activation)
    used = {type(module).__name__ for module in model.modules()} & set(ACTIVATIONS.values())
    assert used == {ACTIVATIONS[activation]}
    assert torch.isfinite(model(torch.rand(2, 1, 28, 28))).all()


def test_normalisation_is_in_the_model_but_not_its_parameters():
    net = nn.Flatten()
    model = Classifier(net, [0.5, 0.25], [0.5, 0.125])
    images = torch.tensor([[[[1.0]], [[0.5]]]])
    assert model(images).tolist() == [[1.0, 2.0]]
    assert not {"mean", "std"} & set(model.state_dict())


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


def test_convolutions_refuse_images_that_are_too_small():
    for name in set(MODELS) - {"mlp", "dense"}:
        with pytest.raises(ConfigError, match="at least"):
            build(name, Shape(1, 28, 3, 10))
