"""Where the time of a training step goes on this machine, measured by a few steps on noise."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from mnist_core.config import Shape, TrainConfig
from mnist_core.data.augment import augment
from mnist_core.models.classifier import build_model, to_unit
from mnist_core.system.device import default_device, threads
from mnist_core.training.loss import reduced_precision, teacher_probabilities, training_loss
from mnist_core.training.optim import make_optimizer
from mnist_core.training.state import load_teachers

PARTS = ("batch", "augmentation", "forward", "loss", "backward", "optimizer")


def step_seconds(config: TrainConfig, shape: Shape, steps: int = 3) -> list[dict[str, float]]:
    """For each of `steps` steps of a training of `config`: seconds of each of PARTS. Raises ConfigError, and
    CheckpointError when `config.teachers` names no model.

    Each is a whole step of `train` (see there), on one batch of random pixels; the teachers' answer belongs to its
    forward part. Of a new network the first step is slower than the rest.
    """
    device = torch.device(default_device())
    with threads(config.threads), torch.random.fork_rng():  # the caller may be in a training of its own
        size = (config.batch_size, shape.channels, shape.height, shape.width)
        images = torch.randint(0, 256, size, dtype=torch.uint8, device=device)
        labels = torch.randint(0, shape.classes, (config.batch_size,), device=device)
        model = build_model(config, shape, [0.0] * shape.channels, [1.0] * shape.channels).to(device)
        teachers = [teacher.to(device) for teacher in load_teachers(config, shape)]
        optimizer = make_optimizer(config, model)
        rows = torch.arange(config.batch_size, device=device)
        measured = []
        for _ in range(steps):
            spent: dict[str, float] = {}
            part = _stopwatch(spent, device)
            with part("batch"):
                x, y = to_unit(images[rows]), labels[rows]
            with part("augmentation"):
                x = augment(x, config)
            with part("forward"), reduced_precision(config, device):
                logits = model(x).float()
                soft_targets = teacher_probabilities(teachers, x)
            with part("loss"):
                loss = training_loss(config, model, logits, y, soft_targets)
            with part("backward"):
                optimizer.zero_grad()
                loss.backward()
            with part("optimizer"):
                optimizer.step()
            measured.append(spent)
    return measured


def seconds_per_image(config: TrainConfig, shape: Shape, steps: int = 3) -> float:
    """Training time per image in seconds: the fastest of `steps` steps. Raises as `step_seconds`."""
    return min(sum(parts.values()) for parts in step_seconds(config, shape, steps)) / config.batch_size


def _stopwatch(spent: dict[str, float], device: torch.device) -> Callable:
    @contextmanager
    def part(name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        if device.type == "cuda":
            torch.cuda.synchronize()  # the GPU works on while Python is ahead
        spent[name] = time.perf_counter() - started

    return part
