"""The learning rate over a training: a function of the position alone."""

from __future__ import annotations

import math

from mnist_core.config import TrainConfig


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
