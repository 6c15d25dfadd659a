"""train(config, data, state) → iterator of events. The loop is plain to see: forward, loss, backward, step, yield.

Whoever iterates is in control: to pause is not to ask for the next event, to stop is not to ask again. The state can
be saved between any two events and continues with the same weights, bit for bit, on the same machine's CPU.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from mnist_core.config import TrainConfig
from mnist_core.data.augment import augment
from mnist_core.data.dataset import NO_CLASS, Dataset, batches, to_unit
from mnist_core.errors import LabError
from mnist_core.inference.metrics import loss_and_accuracy
from mnist_core.models.classifier import Classifier, count_parameters
from mnist_core.schedule import learning_rate_at
from mnist_core.state import Event, TrainState


class DivergedError(LabError):
    """The loss is no longer a number."""


def processor(device: torch.device) -> str:
    """What trains, in words: seconds say nothing without it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU ({torch.get_num_threads()} threads)"


def train(config: TrainConfig, data: Dataset, state: TrainState | None = None) -> Iterator[Event]:
    """Trains to the end of `config`, from `state` (default: from the start), yielding what happened.

    Events: `start` once, `step` after every batch, `validation` where one is due within an epoch, `epoch` after each
    epoch. Losses are mean cross-entropies in nats, accuracies in [0, 1], times in seconds. The test images are not
    looked at. Raises DivergedError when the loss is no longer finite.
    """
    state = state or TrainState(config, data)
    device = state.device
    images, labels = data.train_images.to(device), data.train_labels.to(device)
    val_images, val_labels = images[state.val_indices], labels[state.val_indices]
    checks = state.checks
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
    }

    while not state.finished:
        order = batches(state.train_indices, config.batch_size, config.seed, state.epoch)
        if state.batch in checks and state.checked < state.step:  # interrupted between the step and its check
            yield _checked(state, val_images, val_labels)
        for indices in order[state.batch :]:
            started = time.perf_counter()
            config = state.config  # may change from one batch to the next
            lr = set_learning_rate(state)
            state.model.train()
            x, y = augment(to_unit(images[indices]), config), labels[indices]
            with reduced_precision(config, device):
                logits = state.model(x).float()
                taught = teachers_answer(state.teachers, x)
            loss = training_loss(config, state.model, logits, y, taught)
            state.optimizer.zero_grad()
            loss.backward()
            state.optimizer.step()
            if state.ema is not None:
                state.ema.update_parameters(state.model)

            value, accuracy = loss.item(), share_right(logits, y)
            if not math.isfinite(value):
                raise _diverged("loss", state)
            state.batch += 1
            state.sums = [
                total + new for total, new in zip(state.sums, (value * len(y), accuracy * len(y), len(y)), strict=True)
            ]
            seconds = time.perf_counter() - started
            state.seconds += seconds
            state.epoch_seconds += seconds
            rate = len(y) / seconds if not rate else 0.9 * rate + 0.1 * len(y) / seconds
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
        loss_sum, right_sum, count = state.sums
        state.epoch, state.batch = state.epoch + 1, 0
        seconds, state.sums, state.epoch_seconds = state.epoch_seconds, [0.0, 0.0, 0.0], 0.0
        state.judge(validation["val_accuracy"], validation["val_loss"])
        yield {
            "event": "epoch",
            "epoch": state.epoch,
            "step": state.step,
            "train_loss": loss_sum / count,
            "train_accuracy": right_sum / count,
            **validation,
            "seconds": seconds,
        }


def _checked(state: TrainState, images: Tensor, labels: Tensor) -> Event:
    event = {"event": "validation", "step": state.step, "epoch": state.epoch} | _validate(state, images, labels)
    state.checked = state.step
    return event


def _diverged(what: str, state: TrainState) -> DivergedError:
    return DivergedError(
        f"The {what} is no longer a number after step {state.step}: the training diverged. "
        f"Try a learning rate below {state.config.learning_rate:g}."
    )


def _validate(state: TrainState, images: Tensor, labels: Tensor) -> dict[str, float]:
    started = time.perf_counter()
    loss, accuracy = loss_and_accuracy(state.validation_logits(images), labels)
    seconds = time.perf_counter() - started
    state.seconds += seconds
    state.epoch_seconds += seconds
    if not math.isfinite(loss):
        raise _diverged("validation loss", state)
    return {"val_loss": loss, "val_accuracy": accuracy}


def reduced_precision(config: TrainConfig, device: torch.device) -> torch.autocast:
    """The context in which the forward pass runs; weights, optimizer and loss stay float32."""
    reduced = config.precision == "bfloat16" or (config.precision == "auto" and has_bfloat16(device))
    return torch.autocast(device.type, torch.bfloat16, enabled=reduced)


def has_bfloat16(device: torch.device) -> bool:
    """Whether the processor multiplies bfloat16 itself; where it does not, emulation is slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


@torch.no_grad()
def teachers_answer(teachers: list[Classifier], x: Tensor) -> Tensor | None:
    """(N, C, H, W) float32 in [0, 1] → (N, K) float32 probabilities, the mean over `teachers`; None without any."""
    if not teachers:
        return None
    return torch.stack([teacher(x).float().softmax(dim=1) for teacher in teachers]).mean(dim=0)


def training_loss(
    config: TrainConfig, model: Classifier, logits: Tensor, labels: Tensor, taught: Tensor | None = None
) -> Tensor:
    """Mean cross-entropy in nats of (N, K) `logits` against (N,) int64 `labels`, with the penalties of `config`.

    `taught`, (N, K) probabilities, is mixed into the target (distillation, arXiv:1503.02531, at temperature 1).
    Where the label is NO_CLASS every class should be as likely (outlier exposure, arXiv:1812.04606).
    Of a log-softmax head this is the negative log-likelihood: log-probabilities are their own log-softmax.
    """
    classes = logits.shape[1]
    target = labels
    if config.labels == "one-hot" or config.non_digits or taught is not None:
        target = F.one_hot(labels.clamp(min=0), classes).to(logits.dtype)
    if taught is not None:
        target = target.lerp(taught, config.distillation)
    if config.non_digits:
        target[labels == NO_CLASS] = 1 / classes
    loss = F.cross_entropy(logits, target, label_smoothing=config.label_smoothing)
    if config.l2_first:
        loss = loss + config.l2_first * model.first_dense.weight.square().sum()
    return loss


def share_right(logits: Tensor, labels: Tensor) -> float:
    """(N, K) logits, (N,) labels → the share in [0, 1] that is read right, of those that have a class."""
    count = int((labels != NO_CLASS).sum())
    return int((logits.argmax(dim=1) == labels).sum()) / count if count else 0.0


def set_learning_rate(state: TrainState) -> float:
    """Tells the optimizer the learning rate that is due, and returns it."""
    lr = learning_rate_at(state.config, state.step, state.steps_per_epoch)
    for group in state.optimizer.param_groups:
        group["lr"] = lr
    return lr
