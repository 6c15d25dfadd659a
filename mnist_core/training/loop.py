"""train(state, data) → iterator of events. The loop is plain to see: forward, loss, backward, step, yield.

The caller is in control: it pauses by not asking for the next event, and stops by not asking again. The state can be
saved between any two events and continues with the same weights, bit for bit, on the same machine's CPU.

Where several processes train together (system/processes.py), each runs this loop, asks for the same events, and takes
its part of each batch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import TypedDict

import torch
from torch import Tensor

from mnist_core.data.augment import augment
from mnist_core.data.dataset import Dataset
from mnist_core.errors import LabError
from mnist_core.models.classifier import count_parameters, to_unit
from mnist_core.training.batches import batches
from mnist_core.training.events import Event, ValidationEvent
from mnist_core.training.loss import reduced_precision, right_and_counted, teacher_probabilities, training_loss
from mnist_core.training.optim import learning_rate_at
from mnist_core.training.state import TrainState
from mnist_core.training.together import sum_gradients
from mnist_core.training.validation import loss_and_accuracy


class _Validation(TypedDict):
    val_loss: float
    val_accuracy: float


class DivergedError(LabError):
    """The loss is no longer a number."""


def processor(device: torch.device) -> str:
    """The name of the GPU, or the number of CPU threads: times mean nothing without it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU ({torch.get_num_threads()} threads)"


def train(state: TrainState, data: Dataset) -> Iterator[Event]:
    """Trains from where `state` is to the end of its config, yielding what happened.

    `data` is the dataset that `state` was made for. Events: `start` once, `step` after every batch, `validation` where
    one is due within an epoch, `epoch` after each epoch. Losses are mean cross-entropies in nats, accuracies in [0, 1],
    times in seconds. The test images are not looked at. Raises DivergedError when the loss is no longer finite.
    """
    device = state.device
    images, labels = (torch.from_numpy(part).to(device) for part in (data.train_images, state.labels))
    val_images, val_labels = images[state.val_indices], labels[state.val_indices]
    checks = state.checks
    own_images = len(labels) - data.extra  # behind these are the images that `config.rehearsal` teaches
    rate = 0.0
    yield {
        "event": "start",
        "step": state.step,
        "steps_per_epoch": state.steps_per_epoch,
        "total_steps": state.total_steps,
        "parameters": count_parameters(state.model),
        "train_images": len(state.train_indices),
        "val_images": len(state.val_indices),
        "device": device.type,
        "processor": processor(device),
        "processes": state.group.size,
    }

    while not state.finished:
        order = batches(state.train_indices, state.config.batch_size, state.config.seed, state.epoch)
        if state.batch in checks and state.checked < state.step:  # interrupted between the step and its check
            yield _checked(state, val_images, val_labels)
        for indices in order[state.batch :]:
            started = time.perf_counter()
            config = state.config  # may change from one batch to the next
            lr = set_learning_rate(state)
            state.model.train()
            draws, count = state.draws(len(indices)), len(indices)
            own = indices[draws.part]  # of this process
            x, y = augment(to_unit(images[own]), config, draws), labels[own]
            with reduced_precision(config, device):
                logits = state.model(x).float()
                soft_targets = teacher_probabilities(state.teachers, x)
            taught = (own >= own_images).to(device) if config.rehearsal else None
            loss = training_loss(config, state.model, logits, y, soft_targets, taught, count)
            state.optimizer.zero_grad()
            loss.backward()
            measured = torch.stack([loss.detach(), *right_and_counted(logits, y)])
            value, right, counted = sum_gradients(state.model, measured, state.group)
            state.optimizer.step()
            if state.ema is not None:
                state.ema.update_parameters(state.model)

            accuracy = right / counted if counted else 0.0
            if not math.isfinite(value):
                raise _diverged("loss", state)
            state.batch += 1
            state.sums = [
                total + new for total, new in zip(state.sums, (value * count, accuracy * count, count), strict=True)
            ]
            seconds = time.perf_counter() - started
            state.seconds += seconds
            state.epoch_seconds += seconds
            rate = count / seconds if not rate else 0.9 * rate + 0.1 * count / seconds
            yield {
                "event": "step",
                "step": state.step,
                "epoch": state.epoch,
                "loss": value,
                "accuracy": accuracy,
                "lr": lr,
                "images_per_second": rate,
            }
            if state.batch in checks:
                yield _checked(state, val_images, val_labels)

        validation = _validate(state, val_images, val_labels)
        loss_sum, right_sum, seen = state.sums
        state.epoch, state.batch = state.epoch + 1, 0
        seconds, state.sums, state.epoch_seconds = state.epoch_seconds, [0.0, 0.0, 0.0], 0.0
        state.early_stopping.record(validation["val_accuracy"], validation["val_loss"])
        yield {
            "event": "epoch",
            "epoch": state.epoch,
            "step": state.step,
            "train_loss": loss_sum / seen,
            "train_accuracy": right_sum / seen,
            **validation,
            "seconds": seconds,
        }


def _checked(state: TrainState, images: Tensor, labels: Tensor) -> ValidationEvent:
    step, measured = state.step, _validate(state, images, labels)
    state.checked = step
    return {"event": "validation", "step": step, "epoch": state.epoch, **measured}


def _diverged(what: str, state: TrainState) -> DivergedError:
    return DivergedError(
        f"The {what} is no longer a number after step {state.step}: the training diverged. "
        f"Try a learning rate below {state.config.learning_rate:g}."
    )


def _validate(state: TrainState, images: Tensor, labels: Tensor) -> _Validation:
    started = time.perf_counter()
    loss, accuracy = loss_and_accuracy(state.validation_logits(images, together=True), labels)
    seconds = time.perf_counter() - started
    state.seconds += seconds
    state.epoch_seconds += seconds
    if not math.isfinite(loss):
        raise _diverged("validation loss", state)
    return {"val_loss": loss, "val_accuracy": accuracy}


def set_learning_rate(state: TrainState) -> float:
    """Tells the optimizer the learning rate that is due, and returns it."""
    lr = learning_rate_at(state.config, state.step, state.steps_per_epoch)
    for group in state.optimizer.param_groups:
        group["lr"] = lr
    return lr
