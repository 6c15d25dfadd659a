"""Which learning rate? A range test: the rate rises with each batch, and the loss says where it helps and breaks.

L. N. Smith, Cyclical Learning Rates for Training Neural Networks, 2017, arXiv:1506.01186, section 3.3; the exponential
rise is that of S. Gugger, How Do You Find A Good Learning Rate, 2018.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
import torch

from mnist_core.config import TrainConfig
from mnist_core.data.dataset import Dataset
from mnist_core.errors import ConfigError
from mnist_core.system.device import threads
from mnist_core.system.progress import Progress
from mnist_core.training.loop import DivergedError, train
from mnist_core.training.state import TrainState

LOWEST, HIGHEST = 1e-5, 10.0  # learning rates that are tried
STEPS, FEWEST_STEPS = 300, 30  # of a whole test; slow networks take as many as the time allows
MOST_PASSES = 10  # through few images: more would show how they are learned by heart
FEWEST_BATCHES = 4  # of an epoch
WARM_STEPS = 3  # at the lowest rate, beforehand: they tell how long a step takes
SECONDS, LONGEST_SECONDS = 50.0, 600.0  # of a test, and at most
DIVERGED = 3.0  # times the lowest loss: the test ends
_MEMORY = 0.9  # of the mean that decides on the end
_SMOOTH = 0.02  # of all steps: the deviation of the weights by which neighbours count in the smoothed loss
_FELL = 0.1  # share of the first loss by which it has to fall, to be more than noise
NICE = (1, 2, 3, 5)  # first digits of a suggestion


@dataclass(frozen=True)
class RangeTest:
    """What a range test measured: for each step its learning rate, the batch's loss in nats, and that smoothed.

    `lowest_at` and `steepest_at` are the rates at which the smoothed loss is lowest and falls fastest, `ended_at` is
    that at which it diverged, None where it never did. `suggestion` is None where nothing was learned.
    """

    rates: list[float]
    losses: list[float]
    smoothed: list[float]
    steepest_at: float
    lowest_at: float
    ended_at: float | None
    suggestion: float | None
    reason: str
    schedule: str
    seconds: float


def range_test(
    config: TrainConfig,
    data: Dataset,
    progress: Progress | None = None,
    seconds: float = SECONDS,
    steps: int | None = None,
) -> RangeTest:
    """A range test of a training of `config` on `data` (as `load_for` prepares it), within about `seconds`.

    It trains a network of its own, from the weights that the training would begin with, on the batches that it would
    see; torch's random state and number of threads are as before afterwards. `steps` fixes how many rates are tried.
    Raises ConfigError where an epoch has too few batches or the loss is no number, and what TrainState raises.
    """
    with torch.random.fork_rng(), threads(config.threads):
        tried = {"schedule": "constant", "epochs": 200, "patience": 0, "validations_per_epoch": 1, "ema_decay": 0}
        state = TrainState(config.replace(**tried, learning_rate=LOWEST), data)
        if state.steps_per_epoch < FEWEST_BATCHES:
            raise ConfigError(
                f"An epoch has {state.steps_per_epoch} batch{'es' if state.steps_per_epoch > 1 else ''} of "
                f"{config.batch_size} images: too few for a range test, which needs {FEWEST_BATCHES} different ones. "
                "Choose a smaller batch size."
            )
        began = time.perf_counter()
        rates, losses, diverged = _measure(state, data, progress or (lambda share: None), seconds, steps)
    if not rates:
        raise ConfigError(
            f"The loss is no number even at a rate of {LOWEST:g}: try precision float32, or other weights."
        )
    return judged(config.schedule, rates, losses, diverged, time.perf_counter() - began)


def _measure(
    state: TrainState, data: Dataset, progress: Progress, seconds: float, steps: int | None
) -> tuple[list[float], list[float], bool]:
    """Rates, losses, and whether the last of these ended the test because it diverged."""
    rates: list[float] = []
    losses: list[float] = []
    marks = [time.perf_counter()]
    growth = mean = 1.0
    lowest = math.inf
    wanted = steps or 0
    try:
        for event in train(state, data):
            if event["event"] != "step":
                continue
            marks.append(time.perf_counter())
            if event["step"] < WARM_STEPS:
                continue
            if event["step"] == WARM_STEPS:
                wanted = wanted or _affordable(min(np.diff(marks)), state.steps_per_epoch, seconds)
                growth = (HIGHEST / LOWEST) ** (1 / (wanted - 1))
            else:
                rates.append(event["lr"])
                losses.append(event["loss"])
                mean = event["loss"] if len(losses) == 1 else _MEMORY * mean + (1 - _MEMORY) * event["loss"]
                lowest = min(lowest, mean)
                if mean > DIVERGED * lowest:
                    return rates, losses, True
                if len(rates) == wanted or marks[-1] - marks[0] > 1.2 * seconds:
                    break
            progress(len(rates) / wanted)
            state.config = state.config.replace(learning_rate=min(LOWEST * growth ** len(rates), HIGHEST))
    except DivergedError:
        return rates, losses, True
    return rates, losses, False


def _affordable(step_seconds: float, steps_per_epoch: int, seconds: float) -> int:
    """How many steps fit into the time, and into so few passes that the images are not learned by heart."""
    most = min(STEPS, max(FEWEST_STEPS, MOST_PASSES * steps_per_epoch))
    return int(np.clip(seconds / max(step_seconds, 1e-6), FEWEST_STEPS, most))


def smoothed_loss(losses: list[float]) -> np.ndarray:
    """(N,) losses → (N,): the mean of the neighbours on both sides, by a Gaussian: nothing moves to the right."""
    from scipy.ndimage import gaussian_filter1d

    return np.asarray(gaussian_filter1d(np.asarray(losses, dtype=float), max(1.0, _SMOOTH * STEPS), mode="nearest"))


def judged(schedule: str, rates: list[float], losses: list[float], diverged: bool, seconds: float) -> RangeTest:
    """What (rate, loss) pairs in rising order of rates say to a training with this `schedule`."""
    smoothed = smoothed_loss(losses)
    place = int(smoothed.argmin())
    falls = np.gradient(smoothed, np.log(rates)) if len(rates) > 1 else np.zeros(1)
    lowest_at, steepest_at = rates[place], rates[int(falls[: place + 1].argmin())]
    ended_at = rates[-1] if diverged else None
    suggestion, reason = (
        None,
        (
            f"The loss fell at no rate by more than {_FELL:.0%} within {len(rates)} batches: no rate can be suggested. "
            "Perhaps the labels do not depend on the images, or a batch is too small to show it."
        ),
    )
    if smoothed[place] < (1 - _FELL) * smoothed[0]:
        part, why = _SHARES["one-cycle" if schedule == "one-cycle" else "other"]
        suggestion = nice(lowest_at * part)
        end = f"and the training broke at {ended_at:.2g}" if ended_at else f"and it never broke up to {rates[-1]:.2g}"
        reason = (
            f"The loss fell fastest at a rate of {steepest_at:.2g}, was lowest at {lowest_at:.2g}, {end}. {why} "
            f"Hence {suggestion:g}."
        )
    return RangeTest(
        rates,
        losses,
        smoothed.tolist(),
        steepest_at,
        lowest_at,
        ended_at,
        suggestion,
        reason,
        schedule,
        seconds,
    )


_SHARES = {
    "one-cycle": (
        1 / 2,
        "The setting is the peak of the one-cycle schedule, which is reached slowly and left soon: half of where the "
        "loss was lowest.",
    ),
    "other": (
        1 / 3,
        "A rate that a training begins with, and keeps for long, has to stay clear of where it breaks: a third of "
        "where the loss was lowest.",
    ),
}
"""Of the rate with the lowest loss, by schedule, and why. Measured for three recipes: docs/measurements.md."""


def nice(rate: float) -> float:
    """The nearest rate, by its logarithm, whose only digit is one of NICE, within what a training takes."""
    tens = math.floor(math.log10(rate))
    near = [float(f"{digit}e{tens + more}") for digit in NICE for more in (0, 1)]
    return min(max(min(near, key=lambda one: abs(math.log(one / rate))), 1e-6), HIGHEST)
