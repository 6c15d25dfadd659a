"""Optimizer, learning-rate schedule and weight averaging."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from mnist_core.config import TrainConfig
from mnist_core.lazy import LazyModule

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
    from torch.optim.swa_utils import PARAM_LIST
else:  # the schedule is drawn where there is no torch
    torch = LazyModule("torch")


def learning_rate_at(config: TrainConfig, step: int, steps_per_epoch: int) -> float:
    """The learning rate of the batch after `step` finished ones: a function of the position alone.

    `one-cycle` climbs from 1/25 to the peak over the first quarter and falls to nearly zero, both along a cosine
    (Smith and Topin, 2017, arXiv:1708.07120, in the form of torch's OneCycleLR).
    """
    peak, total = config.learning_rate, config.epochs * steps_per_epoch
    done = step / max(total - 1, 1)
    if config.schedule == "one-cycle":
        warm, start, end = 0.25, peak / 25, peak / 250_000
        if done < warm:
            return peak + (start - peak) * (1 + math.cos(math.pi * done / warm)) / 2
        return end + (peak - end) * (1 + math.cos(math.pi * (done - warm) / (1 - warm))) / 2
    if config.schedule == "cosine":
        return peak * (1 + math.cos(math.pi * done)) / 2
    if config.schedule == "step":
        return peak * config.step_factor ** (step // steps_per_epoch // config.step_epochs)
    return peak


def make_optimizer(config: TrainConfig, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer that `config` names, over all of the model's parameters."""
    weights, rate, decay = model.parameters(), config.learning_rate, config.weight_decay
    if config.optimizer == "sgd":
        return torch.optim.SGD(weights, rate, config.momentum, weight_decay=decay, fused=True)
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(weights, rate, weight_decay=decay, fused=True)


def _averager(decay: float) -> Callable[[PARAM_LIST, PARAM_LIST, Tensor | int], None]:
    """An exponential moving average whose memory grows with the steps taken, up to `decay`.

    With a long memory from the start, the random first weights would spoil the average for the first epochs.
    """

    from torch.optim.swa_utils import get_ema_multi_avg_fn

    def update(averages: PARAM_LIST, values: PARAM_LIST, steps: Tensor | int) -> None:
        taken = int(steps)
        get_ema_multi_avg_fn(min(decay, (1 + taken) / (10 + taken)))(averages, values, steps)

    return update
