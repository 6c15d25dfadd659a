"""The loop against plain torch written out here, and against itself: interrupted, repeated, on other seeds."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mnist_core.config import Shape, TrainConfig
from mnist_core.data.dataset import Dataset
from mnist_core.data.loading import load_dataset
from mnist_core.data.splits import split
from mnist_core.data.statistics import pixel_statistics
from mnist_core.errors import ConfigError, DataError
from mnist_core.models.classifier import build_model, to_unit
from mnist_core.training import loop
from mnist_core.training.batches import batches
from mnist_core.training.loop import DivergedError, train
from mnist_core.training.loss import reduced_precision, training_loss
from mnist_core.training.resume import load_resume, restore, save_resume
from mnist_core.training.state import TrainState
from tests.helpers.runs import untimed

PLAIN = TrainConfig(
    model="mlp",
    batch_norm=False,
    dataset="digits",
    normalization="unit",
    batch_size=32,
    validation_fraction=0.2,
    seed=4,
)
# everything that has a state of its own
FULL = TrainConfig(
    model="small-cnn",
    dataset="digits",
    epochs=2,
    batch_size=64,
    schedule="one-cycle",
    learning_rate=0.01,
    dropout=0.3,
    ema_decay=0.9,
    label_smoothing=0.1,
    rotation=10,
    translation=2,
    scaling=0.1,
    validation_fraction=0.2,
    seed=11,
)


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def of_kind(events: list[dict], kind: str) -> list[dict]:
    return [event for event in events if event["event"] == kind]


# ---- the loop -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "make"),
    [
        ({"optimizer": "adam"}, lambda p: torch.optim.Adam(p, lr=1e-3, fused=True)),
        (
            {"optimizer": "adamw", "weight_decay": 0.1, "learning_rate": 0.01},
            lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1, fused=True),
        ),
        (
            {"optimizer": "sgd", "momentum": 0.8, "learning_rate": 0.05},
            lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.8, fused=True),
        ),
    ],
)
def test_the_first_steps_are_those_of_plain_torch_bit_for_bit(tiny_data, settings, make):
    config = PLAIN.replace(**settings)
    torch.manual_seed(config.seed)
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = make(net.parameters())
    rows, _ = split(tiny_data.train_labels, 0.2, config.seed)
    images, labels = torch.from_numpy(tiny_data.train_images), torch.from_numpy(tiny_data.train_labels)
    losses = []
    for indices in batches(rows, 32, config.seed, 0)[:3]:
        loss = F.cross_entropy(net(to_unit(images[indices])), labels[indices])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    state = TrainState(config, tiny_data)
    events = list(itertools.islice(train(state, tiny_data), 4))
    assert [event["loss"] for event in events[1:]] == losses
    for mine, theirs in zip(state.model.parameters(), net.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_label_smoothing_spreads_its_share_over_the_classes(tiny_data):
    config = PLAIN.replace(label_smoothing=0.2)
    state = TrainState(config, tiny_data)
    indices = batches(state.train_indices, 32, config.seed, 0)[0]
    with torch.no_grad():
        log = state.model(to_unit(tiny_data.train_images[indices])).double().log_softmax(dim=1)
    y = tiny_data.train_labels[indices]
    expected = -(0.8 * log[torch.arange(len(y)), y] + 0.2 * log.mean(dim=1)).mean().item()
    step = next(itertools.islice(train(state, tiny_data), 1, None))
    assert step["loss"] == pytest.approx(expected, rel=1e-5)


def test_events_have_the_fields_that_readers_rely_on(tiny_data):
    config = PLAIN.replace(epochs=2, validations_per_epoch=3)
    state = TrainState(config, tiny_data)
    events = list(train(state, tiny_data))
    start, per_epoch = events[0], state.steps_per_epoch
    assert start["event"] == "start"
    assert (start["train_images"], start["val_images"]) == (240, 60)
    assert start["total_steps"] == 2 * start["steps_per_epoch"] == 2 * math.ceil(240 / 32)
    assert start["parameters"] == 109_386

    steps = of_kind(events, "step")
    assert [event["step"] for event in steps] == list(range(1, 2 * per_epoch + 1))
    for event in steps:
        assert {"step", "epoch", "loss", "accuracy", "lr", "images_per_second"} <= event.keys()
        assert event["epoch"] == (event["step"] - 1) // per_epoch
        assert event["images_per_second"] > 0
        assert 0 <= event["accuracy"] <= 1

    # every third of an epoch of 8 steps; the last of the three is the epoch's own
    checks = of_kind(events, "validation")
    assert [event["step"] for event in checks] == [3, 5, 11, 13]
    epochs = of_kind(events, "epoch")
    assert [event["epoch"] for event in epochs] == [1, 2]
    for event in epochs:
        assert {"train_loss", "train_accuracy", "val_loss", "val_accuracy", "seconds"} <= event.keys()
    assert events[-1] is epochs[-1]


def test_an_epochs_figures_are_the_means_over_its_images(tiny_data):
    state = TrainState(PLAIN, tiny_data)
    events = list(train(state, tiny_data))
    steps, epoch = of_kind(events, "step"), events[-1]
    sizes = np.array([32] * 7 + [16])
    assert epoch["train_loss"] == pytest.approx(sum(sizes * [e["loss"] for e in steps]) / 240)
    assert epoch["train_accuracy"] == pytest.approx(sum(sizes * [e["accuracy"] for e in steps]) / 240)

    images, labels = (
        torch.from_numpy(part[state.val_indices]) for part in (tiny_data.train_images, tiny_data.train_labels)
    )
    with torch.no_grad():
        log = state.model.eval()(images.float() / 255).double().log_softmax(dim=1)
    assert epoch["val_accuracy"] == pytest.approx((log.argmax(dim=1) == labels).double().mean().item())
    assert epoch["val_loss"] == pytest.approx(-log[torch.arange(60), labels].mean().item(), rel=1e-5)


def test_the_network_learns(tiny_data):
    events = list(train(TrainState(FULL.replace(epochs=10), tiny_data), tiny_data))
    assert of_kind(events, "epoch")[-1]["val_accuracy"] > 0.8


# ---- what it sees ---------------------------------------------------------------------------------------------------


class _Untouchable:
    def __getattribute__(self, name: str) -> object:
        raise AssertionError(f"the test images were looked at: .{name}")


def test_the_test_images_are_never_looked_at(tiny_data):
    blind = Dataset(
        "digits", tiny_data.classes, tiny_data.train_images, tiny_data.train_labels, _Untouchable(), _Untouchable()
    )
    with pytest.raises(AssertionError, match="looked at"):
        len(blind.test_images.shape)
    assert list(train(TrainState(FULL.replace(epochs=1), blind), blind))[-1]["event"] == "epoch"


def test_training_batches_hold_all_training_images_only(monkeypatch):
    count = 200
    images = np.zeros((count, 1, 28, 28), np.uint8)
    images[:, 0, 0, 0] = np.arange(count)  # each image carries its own number
    labels = np.arange(count) % 10
    data = Dataset("numbers", tuple("0123456789"), images, labels, images[:0], labels[:0])
    seen: list[int] = []
    to_unit = loop.to_unit

    def noting(batch: torch.Tensor) -> torch.Tensor:
        seen.extend(batch[:, 0, 0, 0].tolist())
        return to_unit(batch)

    monkeypatch.setattr(loop, "to_unit", noting)
    config = PLAIN.replace(epochs=2, validation_fraction=0.25)
    state = TrainState(config, data)
    list(train(state, data))
    assert sorted(seen) == sorted(2 * state.train_indices.tolist())
    assert not set(seen) & set(state.val_indices.tolist())
    assert len(set(seen)) == 150


def test_normalisation_is_learnt_from_the_training_part_alone(tiny_data):
    config = PLAIN.replace(normalization="standard")
    state = TrainState(config, tiny_data)
    pixels = torch.from_numpy(tiny_data.train_images[state.train_indices]).double() / 255
    assert state.mean == pytest.approx([pixels.mean().item()])
    assert state.std == pytest.approx([pixels.std(correction=0).item()])
    assert state.mean != pixel_statistics(tiny_data.train_images)[0]
    assert TrainState(PLAIN, tiny_data).mean == [0.0]


# ---- the loss -------------------------------------------------------------------------------------------------------


@pytest.fixture
def scored() -> tuple[torch.Tensor, torch.Tensor]:
    """(40, 10) scores and (40,) labels of nothing in particular."""
    generator = torch.Generator().manual_seed(0)
    return 3 * torch.randn(40, 10, generator=generator), torch.randint(0, 10, (40,), generator=generator)


def loss_of(scored: tuple[torch.Tensor, torch.Tensor], **settings: object) -> torch.Tensor:
    config = PLAIN.replace(**settings)
    return training_loss(config, build_model(config, Shape()), *scored)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_one_hot_targets_equal_class_numbers(scored, smoothing):
    indexed, one_hot = (loss_of(scored, labels=form, label_smoothing=smoothing) for form in ("index", "one-hot"))
    assert one_hot.item() == pytest.approx(indexed.item(), rel=1e-6)
    logits, labels = (part.numpy() for part in scored)
    log = logits - np.log(np.exp(logits.astype(float)).sum(axis=1, keepdims=True))
    own = -log[np.arange(40), labels].mean()
    assert one_hot.item() == pytest.approx((1 - smoothing) * own - smoothing * log.mean(), rel=1e-5)


def test_a_log_softmax_head_has_negative_log_likelihood_loss(scored):
    logits, labels = scored
    log = logits.log_softmax(dim=1)
    assert loss_of((log, labels), head="log-softmax").item() == pytest.approx(F.nll_loss(log, labels).item(), rel=1e-6)
    config = PLAIN.replace(head="log-softmax")
    torch.manual_seed(0)
    model = build_model(config, Shape())
    images = torch.rand(40, 1, 28, 28)
    training_loss(config, model, model(images), labels).backward()
    mine = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    F.nll_loss(model(images), labels).backward()
    for gradient, parameter in zip(mine, model.parameters(), strict=True):
        torch.testing.assert_close(gradient, parameter.grad)


@pytest.mark.parametrize("name", ["mlp", "dense", "two-conv", "small-cnn"])
def test_l2_of_the_first_dense_layer_adds_its_squared_weights(scored, name):
    config = PLAIN.replace(model=name, l2_first=0.03)
    model = build_model(config, Shape())
    first = next(weight for weight in model.parameters() if weight.dim() == 2)
    added = training_loss(config, model, *scored) - training_loss(config.replace(l2_first=0), model, *scored)
    assert added.item() == pytest.approx(0.03 * (first.detach().double() ** 2).sum().item(), rel=1e-4)
    added.backward()
    torch.testing.assert_close(first.grad, 2 * 0.03 * first.detach())
    others = [parameter for parameter in model.parameters() if parameter is not first]
    assert all(parameter.grad is None or not parameter.grad.any() for parameter in others)


# ---- the same again -------------------------------------------------------------------------------------------------


def finished(config: TrainConfig, data: Dataset) -> tuple[TrainState, list[dict]]:
    state = TrainState(config, data)
    return state, list(train(state, data))


@pytest.fixture(scope="module")
def uninterrupted(tiny_data) -> tuple[TrainState, list[dict]]:
    torch.manual_seed(1)
    return finished(FULL, tiny_data)


def test_the_same_seed_gives_the_same_weights_bit_for_bit(tiny_data, uninterrupted):
    first, events = uninterrupted
    torch.manual_seed(2)
    again, again_events = finished(FULL, tiny_data)
    assert same(weights(first.model), weights(again.model))
    assert same(weights(first.best_model), weights(again.best_model))
    assert untimed(events) == untimed(again_events)
    other, _ = finished(FULL.replace(seed=12), tiny_data)
    assert not same(weights(first.model), weights(other.model))


def interrupted(config: TrainConfig, data: Dataset, after: int, path) -> tuple[TrainState, list[dict]]:
    """Ends after `after` events, saves, and goes on as a new process would."""
    state = TrainState(config, data)
    events = list(itertools.islice(train(state, data), after))
    save_resume(path, state.state_dict())
    torch.manual_seed(999)
    state = TrainState(config, data)
    torch.rand(5)
    restore(state, load_resume(path)[0])
    rest = list(train(state, data))
    assert rest[0]["event"] == "start"
    return state, events + rest[1:]


# FULL has 4 steps an epoch: events are start, 4 steps, epoch, 4 steps, epoch
@pytest.mark.parametrize("after", [1, 3, 5, 6, 8, 10])
def test_an_interrupted_training_ends_with_the_same_result(tiny_data, uninterrupted, tmp_path, after):
    whole, events = uninterrupted
    assert len(events) == 11
    state, all_events = interrupted(FULL, tiny_data, after, tmp_path)
    assert same(weights(whole.model), weights(state.model))
    assert same(weights(whole.best_model), weights(state.best_model))
    assert untimed(all_events) == untimed(events)
    assert state.step == whole.step == 8


def test_a_resume_has_the_same_few_images_and_wrong_labels(tiny_data, tmp_path):
    config = FULL.replace(train_share=0.6, label_noise=0.3)
    whole, events = finished(config, tiny_data)
    state, all_events = interrupted(config, tiny_data, 3, tmp_path)
    assert np.array_equal(state.labels, whole.labels)
    assert not np.array_equal(state.labels, tiny_data.train_labels)
    assert same(weights(whole.model), weights(state.model))
    assert untimed(all_events) == untimed(events)


@pytest.mark.parametrize("after", [3, 4])
def test_a_validation_within_an_epoch_survives_interruption(tiny_data, tmp_path, after):
    config = FULL.replace(epochs=1, validations_per_epoch=2)
    _, events = finished(config, tiny_data)
    assert [event["event"] for event in events[:4]] == ["start", "step", "step", "validation"]
    _, all_events = interrupted(config, tiny_data, after, tmp_path)
    assert untimed(all_events) == untimed(events)


def test_a_state_of_another_network_is_refused(tiny_data):
    state = TrainState(PLAIN, tiny_data).state_dict()
    with pytest.raises((RuntimeError, KeyError)):
        TrainState(FULL, tiny_data).load_state_dict(state)


# ---- averages and ends ----------------------------------------------------------------------------------------------


def test_the_average_over_steps_is_the_one_computed_by_hand(tiny_data):
    config = PLAIN.replace(ema_decay=0.25, epochs=1)
    state = TrainState(config, tiny_data)
    average: list[torch.Tensor] = []
    taken = 0
    for event in train(state, tiny_data):
        if event["event"] != "step":
            continue
        now = [p.detach().double().clone() for p in state.model.parameters()]
        decay = min(0.25, (1 + taken) / (10 + taken))
        average = [decay * a + (1 - decay) * n for a, n in zip(average, now, strict=True)] if taken else now
        taken += 1
        for mine, theirs in zip(state.best_model.parameters(), average, strict=True):
            torch.testing.assert_close(mine.double(), theirs, atol=1e-6, rtol=1e-5)
    assert taken == 8
    assert state.best_model is not state.model
    assert TrainState(PLAIN, tiny_data).best_model is not None


def test_the_averaged_weights_are_evaluated_if_there_are_any(tiny_data):
    config = PLAIN.replace(ema_decay=0.9)
    state = TrainState(config, tiny_data)
    epoch = list(train(state, tiny_data))[-1]
    images, labels = (
        torch.from_numpy(part[state.val_indices]) for part in (tiny_data.train_images, tiny_data.train_labels)
    )
    with torch.no_grad():
        average, last = (F.cross_entropy(m.eval()(images / 255), labels) for m in (state.ema.module, state.model))
    assert epoch["val_loss"] == pytest.approx(average.item(), rel=1e-5)
    assert epoch["val_loss"] != pytest.approx(last.item(), rel=1e-5)


# dense layers that pass everything on, without batch norm: the loss overflows within an epoch
WILD = PLAIN.replace(optimizer="sgd", learning_rate=10, activation="leaky-relu", epochs=3)


def test_a_loss_that_is_not_finite_ends_training_with_a_reason(tiny_data):
    with pytest.raises(DivergedError, match="learning rate below 10"):
        list(train(TrainState(WILD, tiny_data), tiny_data))


def test_events_of_a_diverging_training_hold_finite_numbers(tiny_data):
    def events() -> Iterator[dict]:
        try:
            yield from train(TrainState(WILD.replace(validations_per_epoch=20), tiny_data), tiny_data)
        except DivergedError:
            return

    for event in events():
        numbers = [value for value in event.values() if isinstance(value, float)]
        assert all(map(math.isfinite, numbers)), event


def test_config_and_data_that_do_not_fit_are_refused(tiny_data):
    with pytest.raises(ConfigError, match="no model"):
        TrainState(PLAIN.replace(model="nope"), tiny_data)
    few = replace(tiny_data, train_labels=tiny_data.train_labels[:12], train_images=tiny_data.train_images[:12])
    with pytest.raises(DataError, match="cannot be split"):
        TrainState(PLAIN, few)


def test_bfloat16_learns_about_as_well_and_keeps_float32_weights():
    config = TrainConfig(dataset="digits", model="small-cnn", epochs=8, batch_size=64, learning_rate=0.005)
    data = load_dataset("digits")
    full, reduced = (TrainState(config.replace(precision=kind), data) for kind in ("float32", "bfloat16"))
    results = [list(train(state, data))[-1] for state in (full, reduced)]
    assert {tensor.dtype for tensor in reduced.model.parameters()} == {torch.float32}
    assert abs(results[0]["val_accuracy"] - results[1]["val_accuracy"]) < 0.05
    weights = [torch.cat([p.flatten() for p in state.model.parameters()]) for state in (full, reduced)]
    assert not torch.equal(*weights)  # or the setting does nothing


@pytest.mark.parametrize("able", [True, False])
def test_auto_uses_bfloat16_only_where_the_processor_has_it(monkeypatch, able):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": able, "amx_bf16": False})
    with reduced_precision(PLAIN.replace(precision="auto"), torch.device("cpu")):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == (torch.bfloat16 if able else torch.float32)
