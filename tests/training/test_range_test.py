"""The range test: against a loop in plain torch, on curves whose answer is known, and where it has to end."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mnist_core.data.prepare import load_for
from mnist_core.errors import ConfigError
from mnist_core.runs.run import list_runs
from mnist_core.training import range_test as module
from mnist_core.training.loop import DivergedError, train
from mnist_core.training.range_test import LOWEST, WARM_STEPS, judged, nice, range_test
from mnist_core.training.state import TrainState
from tests.helpers.runs import CONFIG

PLAIN = CONFIG.replace(dropout=0, translation=0, ema_decay=0, batch_norm=False, schedule="one-cycle")


@pytest.fixture(scope="module")
def digits():
    return load_for(PLAIN)


# ---- the measurement ------------------------------------------------------------------------------------------------


def test_the_losses_are_those_of_a_loop_in_plain_torch(digits):
    steps = 40
    found = range_test(PLAIN, digits, steps=steps)
    state = TrainState(PLAIN, digits)
    model, images = state.model, torch.from_numpy(digits.train_images).float() / 255
    labels, rows = torch.from_numpy(digits.train_labels), torch.from_numpy(state.train_indices)
    rates = [LOWEST] * WARM_STEPS + list(np.geomspace(LOWEST, 10, steps))
    optimizer, losses, batches, epoch = torch.optim.Adam(model.parameters()), [], [], 0
    for rate in rates:
        if not batches:
            order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(PLAIN.seed * 1_000_003 + epoch))
            batches, epoch = list(rows[order].split(PLAIN.batch_size)), epoch + 1
        batch = batches.pop(0)
        for group in optimizer.param_groups:
            group["lr"] = float(rate)
        loss = F.cross_entropy(model(images[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    np.testing.assert_allclose(found.rates, rates[WARM_STEPS:][: len(found.rates)], rtol=1e-6)
    calm = np.asarray(found.rates) < 0.03  # above, each rounding grows with every step
    assert calm.sum() > 20
    np.testing.assert_allclose(np.array(found.losses)[calm], losses[WARM_STEPS:][: calm.sum()], rtol=1e-3)


def test_nothing_of_a_later_training_changes(digits):
    def first_losses() -> list[float]:
        events = train(TrainState(CONFIG, digits), digits)
        return [event["loss"] for event, _ in zip(events, range(5), strict=False) if event["event"] == "step"]

    before, threads = first_losses(), torch.get_num_threads()
    torch.manual_seed(5)
    random = torch.get_rng_state()
    range_test(CONFIG.replace(threads=1), digits, steps=30)
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.get_num_threads() == threads
    assert first_losses() == before
    assert list_runs() == []


def test_it_ends_where_the_training_breaks(digits):
    found = range_test(PLAIN.replace(optimizer="sgd"), digits, steps=100)
    assert found.ended_at == found.rates[-1] < 10
    assert all(map(math.isfinite, found.losses))
    assert found.lowest_at < found.ended_at


def test_a_loss_that_is_no_number_ends_it(digits, monkeypatch):
    def broken(state, data):
        for event in train(state, data):
            if event["event"] == "step" and event["step"] > 20:
                raise DivergedError("no number")
            yield event

    monkeypatch.setattr(module, "train", broken)
    found = range_test(PLAIN, digits, steps=60)
    assert len(found.rates) == 20 - WARM_STEPS
    assert found.ended_at == found.rates[-1]


def test_a_loss_that_never_was_a_number_is_a_sentence(digits, monkeypatch):
    def broken(state, data):
        raise DivergedError("no number")
        yield

    monkeypatch.setattr(module, "train", broken)
    with pytest.raises(ConfigError, match="no number even at a rate of 1e-05"):
        range_test(PLAIN, digits)


def test_the_progress_rises_to_the_end(digits):
    shares: list[float] = []
    range_test(PLAIN, digits, shares.append, steps=30)
    assert shares == sorted(shares)
    assert 0 < shares[-1] <= 1


def test_the_time_decides_how_many_rates_are_tried():
    assert module._affordable(1.0, 500, 50) == 50
    assert module._affordable(0.001, 500, 50) == module.STEPS
    assert module._affordable(0.001, 10, 50) == 10 * module.MOST_PASSES
    assert module._affordable(60.0, 500, 50) == module.FEWEST_STEPS


def test_two_batches_are_too_few(digits):
    with pytest.raises(ConfigError, match="An epoch has 2 batches of 1024 images: too few for a range test"):
        range_test(PLAIN.replace(batch_size=1024), digits)


# ---- the suggestion -------------------------------------------------------------------------------------------------

RATES = np.geomspace(1e-5, 10, 200)


def valley(lowest: float) -> list[float]:
    """A loss that falls from 2.3 to 0.3 at the rate `lowest`, and rises steeply behind it."""
    away = np.log10(RATES / lowest)
    return list(np.where(away < 0, 2.3 - 2 * np.exp(-(away**2)), 0.3 + 3 * away**2))


@pytest.mark.parametrize(("schedule", "suggestion"), [("constant", 0.003), ("step", 0.003), ("one-cycle", 0.005)])
def test_the_suggestion_is_a_part_of_the_best_rate(schedule, suggestion):
    found = judged(schedule, list(RATES), valley(0.01), True, 1.0)
    assert found.lowest_at == pytest.approx(0.01, rel=0.3)
    assert found.steepest_at < found.lowest_at
    assert found.suggestion == suggestion
    assert ("one-cycle" in found.reason) == (schedule == "one-cycle")
    assert f"Hence {suggestion:g}." in found.reason


def test_the_smoothed_loss_does_not_lag_behind():
    losses = np.where(np.arange(200) < 100, 1.0, 0.0)
    smoothed = module.smoothed_loss(list(losses))
    assert smoothed[99:101].mean() == pytest.approx(0.5)
    assert (smoothed[:70].min(), smoothed[130:].max()) == pytest.approx((1, 0), abs=1e-4)


def test_where_nothing_is_learned_nothing_is_suggested():
    noise = 2.3 + 0.01 * np.random.default_rng(0).standard_normal(200)
    found = judged("constant", list(RATES), list(noise), False, 1.0)
    assert found.suggestion is None
    assert "fell at no rate" in found.reason


def test_one_step_is_no_reason_to_suggest_anything():
    assert judged("constant", [1e-5], [2.3], True, 1.0).suggestion is None


@pytest.mark.parametrize(
    ("rate", "found"), [(0.0123, 0.01), (0.0146, 0.02), (0.007, 0.005), (0.0075, 0.01), (8e-6, 1e-5), (3.3, 3.0)]
)
def test_suggestions_are_round(rate, found):
    assert nice(rate) == found
