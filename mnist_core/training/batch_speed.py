"""Images a second of a training with batches of different sizes, and from which size on larger ones gain little."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mnist_core.config import TrainConfig
from mnist_core.data.dataset import Dataset
from mnist_core.data.splits import train_and_validation
from mnist_core.errors import ConfigError
from mnist_core.system.device import default_device
from mnist_core.system.progress import Progress
from mnist_core.training.profile import seconds_per_image

SIZES = (16, 32, 64, 128, 256, 512, 1024)
WORTH = 0.1  # a larger batch has to take so much more images a second
SECONDS_A_SIZE = 1.0
UNDISTURBED = 0.7  # of the time, at least one core computes for the measurement
MOST_STEP_SECONDS = 5.0  # above this, larger batches are not tried


@dataclass(frozen=True)
class Speed:
    """Images a second of whole training steps with batches of `size`, and how many steps an epoch then has."""

    size: int
    images_per_second: float
    steps_per_epoch: int


@dataclass(frozen=True)
class BatchSpeeds:
    """The speeds in rising order of size, the size that is suggested, and why; None where something disturbed them."""

    speeds: list[Speed]
    suggestion: int | None
    reason: str


def batch_speeds(
    config: TrainConfig, data: Dataset, progress: Progress | None = None, sizes: Sequence[int] = SIZES
) -> BatchSpeeds:
    """Measures steps of a training of `config` on `data` with each of the `sizes` that an epoch fills at least once.

    Steps are on noise of the images' shape (`profile.step_seconds`): nothing is learned. Raises ConfigError where there
    are too few images, and what step_seconds raises.
    """
    images = len(train_and_validation(data, config)[0])
    tried = [size for size in sorted(sizes) if size <= images]
    if not tried:
        raise ConfigError(f"There are {images} images to learn from, too few for batches of {min(sizes)} and more.")
    show = progress or (lambda share: None)
    began, computed = time.perf_counter(), time.process_time()
    fastest: dict[int, float] = {}  # seconds an image
    for place, size in enumerate(tried, start=1):
        fastest[size] = seconds_per_image(config.replace(batch_size=size), data.shape, 3)
        show(0.5 * place / len(tried))
        if fastest[size] * size > MOST_STEP_SECONDS:
            break
    for place, size in enumerate(fastest, start=1):  # once more, later: what disturbed one look may not disturb both
        steps = int(np.clip(SECONDS_A_SIZE / (fastest[size] * size), 3, 50))
        again = seconds_per_image(config.replace(batch_size=size), data.shape, steps)
        fastest[size] = min(fastest[size], again)
        show(0.5 + 0.5 * place / len(fastest))
    share = (time.process_time() - computed) / max(time.perf_counter() - began, 1e-9)
    disturbed = share < UNDISTURBED and default_device() == "cpu"
    return judged([Speed(size, 1 / seconds, -(-images // size)) for size, seconds in fastest.items()], disturbed)


def judged(speeds: Sequence[Speed], disturbed: bool = False) -> BatchSpeeds:
    """The smallest size than which no larger one takes WORTH more images a second: more steps, at the same speed.

    Of a measurement that was `disturbed` nothing follows.
    """
    if disturbed:
        return BatchSpeeds(
            list(speeds),
            None,
            "Other programs had the processor for much of the time, so that these figures say little: measure again "
            "when the machine is quiet.",
        )
    place = next(
        place
        for place, one in enumerate(speeds)
        if all(other.images_per_second < (1 + WORTH) * one.images_per_second for other in speeds[place + 1 :])
    )
    chosen = speeds[place]
    told = f"{chosen.size}: {chosen.images_per_second:,.0f} images a second; "
    if place + 1 < len(speeds):
        gain = speeds[place + 1].images_per_second / chosen.images_per_second - 1
        told += f"twice as large gains only {gain:.0%}" if gain >= 0.005 else "twice as large gains nothing"
        told += ", and has half of the steps to learn by."
    else:
        told += "larger ones, which were not measured, may be faster still and have fewer steps to learn by."
    if place:
        less = 1 - speeds[place - 1].images_per_second / chosen.images_per_second
        told += f" Half as large is {less:.0%} slower."
    return BatchSpeeds(list(speeds), chosen.size, told)
