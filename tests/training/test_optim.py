"""The schedules of `training`, against those of torch."""

import numpy as np
import pytest
import torch
from torch import nn

from mnist_core.config import TrainConfig
from mnist_core.training.loop import train
from mnist_core.training.optim import learning_rate_at
from mnist_core.training.state import TrainState


def torchs_rates(make, peak: float, steps: int) -> list[float]:
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=peak)
    scheduler = make(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def test_the_cosine_schedule_is_torchs():
    config = TrainConfig(schedule="cosine", learning_rate=0.3, epochs=4)
    theirs = torchs_rates(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=99), 0.3, 100)
    mine = [learning_rate_at(config, step, 25) for step in range(100)]
    np.testing.assert_allclose(mine, theirs, atol=1e-9)


def test_the_step_schedule_is_torchs():
    config = TrainConfig(schedule="step", learning_rate=0.3, epochs=9, step_epochs=2, step_factor=0.5)
    theirs = torchs_rates(lambda o: torch.optim.lr_scheduler.StepLR(o, step_size=2, gamma=0.5), 0.3, 9)
    mine = [learning_rate_at(config, step, 7) for step in range(63)]
    np.testing.assert_allclose(mine, np.repeat(theirs, 7), rtol=1e-9)


def test_the_one_cycle_schedule_is_torchs_within_a_step():
    config = TrainConfig(schedule="one-cycle", learning_rate=0.01, epochs=3)
    theirs = torchs_rates(
        lambda o: torch.optim.lr_scheduler.OneCycleLR(o, max_lr=0.01, total_steps=300, pct_start=0.25), 0.01, 300
    )
    mine = np.array([learning_rate_at(config, step, 100) for step in range(300)])
    assert mine[0] == pytest.approx(theirs[0])
    assert mine[0] == pytest.approx(0.01 / 25)
    assert mine[-1] == pytest.approx(theirs[-1])
    assert mine[-1] == pytest.approx(0.01 / 25 / 1e4)
    assert mine.max() == pytest.approx(0.01, rel=1e-3)
    # torch counts the quarter from one step earlier: each rate lies between its neighbours there
    for step in range(1, 299):
        near = theirs[step - 1 : step + 2]
        assert min(near) - 1e-6 <= mine[step] <= max(near) + 1e-6, step


def test_one_step_in_all_has_a_learning_rate_too():
    for schedule in ("constant", "one-cycle", "cosine", "step"):
        rate = learning_rate_at(TrainConfig(schedule=schedule, learning_rate=0.1, epochs=1), 0, 1)
        assert 0 < rate <= 0.1


def test_each_step_is_taken_with_the_rate_that_its_event_tells(tiny_data):
    config = TrainConfig(model="mlp", batch_size=32, validation_fraction=0.2, schedule="cosine", learning_rate=0.004)
    state = TrainState(config, tiny_data)
    for event in train(state, tiny_data):
        if event["event"] == "step":
            assert event["lr"] == learning_rate_at(config, event["step"] - 1, state.steps_per_epoch)
            assert state.optimizer.param_groups[0]["lr"] == event["lr"]
