"""train(config, data, state) → iterator of events. The loop is plain to see: forward, loss, backward, step, yield.

Whoever iterates is in control: to pause is not to ask for the next event, to stop is not to ask again. The state can
be saved between any two events and continues with the same weights, bit for bit, on the same machine's CPU.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from mnist_core.augment import augment
from mnist_core.config import Shape, TrainConfig
from mnist_core.data import Dataset, batches, to_unit, train_and_validation
from mnist_core.errors import LabError
from mnist_core.evaluation import infer, loss_and_accuracy
from mnist_core.models import Classifier, build_model, count_parameters
from mnist_core.statistics import pixel_statistics

Event = dict[str, Any]


class DivergedError(LabError):
    """The loss is no longer a number."""


def default_device() -> str:
    """`cuda` where there is a GPU that torch can use, else `cpu`."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def processor(device: torch.device) -> str:
    """What trains, in words: seconds say nothing without it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU ({torch.get_num_threads()} threads)"


class TrainState:
    """All that a training carries from one step to the next: weights, optimizer, average, position, random state.

    `data` is an arranged dataset (`data.arrange`). Raises ConfigError or DataError when it and `config` do not fit.
    """

    def __init__(self, config: TrainConfig, data: Dataset, device: str | None = None) -> None:
        self.config = config
        self.device = torch.device(device or default_device())
        self.train_indices, self.val_indices = train_and_validation(data, config)
        if config.normalization == "standard":
            # of the training images only: validation must not be known beforehand
            self.mean, self.std = pixel_statistics(data.train_images[self.train_indices])
        else:
            self.mean, self.std = [0.0] * data.shape.channels, [1.0] * data.shape.channels
        torch.manual_seed(config.seed)
        self.model: Classifier = build_model(config, data.shape, self.mean, self.std).to(self.device)
        self.optimizer = make_optimizer(config, self.model)
        self.ema: AveragedModel | None = None
        if config.ema_decay:
            self.ema = AveragedModel(self.model, multi_avg_fn=_averager(config.ema_decay), use_buffers=True)
        self.steps_per_epoch = len(batches(self.train_indices, config.batch_size, config.seed, 0))
        self.epoch = 0  # epochs finished
        self.checked = 0  # step of the last validation within an epoch
        self.batch = 0  # batches finished in the running epoch
        self.seconds = 0.0  # spent training, pauses not counted
        self.sums = [0.0, 0.0, 0.0]  # over the running epoch: loss × images, right answers, images
        self.epoch_seconds = 0.0
        self._validated: tuple[int, Tensor] | None = None

    def validation_logits(self, images: Tensor) -> Tensor:
        """(N, C, H, W) uint8 validation images → (N, K) logits of `best_model`, computed once a step."""
        if self._validated is None or self._validated[0] != self.step:
            self._validated = (self.step, infer(self.best_model, images))
        return self._validated[1]

    @property
    def step(self) -> int:
        """Batches finished since the start."""
        return self.epoch * self.steps_per_epoch + self.batch

    @property
    def total_steps(self) -> int:
        return self.config.epochs * self.steps_per_epoch

    @property
    def best_model(self) -> Classifier:
        """The weights to judge and to keep: the average over steps where there is one, else the last."""
        return self.ema.module if self.ema is not None else self.model  # type: ignore[return-value]

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values only, so that it is read back without unpickling code."""
        return {
            "config": self.config.model_dump(),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "ema": self.ema.state_dict() if self.ema is not None else None,
            "position": [self.epoch, self.batch, self.checked],
            "seconds": [self.seconds, self.epoch_seconds],
            "sums": list(self.sums),
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state() if self.device.type == "cuda" else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues where `state_dict` was taken. Raises RuntimeError or KeyError when it is another training's."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])
        self.epoch, self.batch, self.checked = state["position"]
        self.seconds, self.epoch_seconds = state["seconds"]
        self.sums = list(state["sums"])
        torch.set_rng_state(state["rng"])
        if self.device.type == "cuda" and state["cuda_rng"] is not None:
            torch.cuda.set_rng_state(state["cuda_rng"])


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
    parts = config.validations_per_epoch
    checks = {round(state.steps_per_epoch * part / parts) for part in range(1, parts)}
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

    while state.epoch < config.epochs:
        order = batches(state.train_indices, config.batch_size, config.seed, state.epoch)
        if state.batch in checks and state.checked < state.step:  # interrupted between the step and its check
            yield _checked(state, val_images, val_labels)
        for indices in order[state.batch :]:
            started = time.perf_counter()
            lr = set_learning_rate(state)
            state.model.train()
            x, y = augment(to_unit(images[indices]), config), labels[indices]
            logits = state.model(x)
            loss = training_loss(config, state.model, logits, y)
            state.optimizer.zero_grad()
            loss.backward()
            state.optimizer.step()
            if state.ema is not None:
                state.ema.update_parameters(state.model)

            value, right = loss.item(), int((logits.argmax(dim=1) == y).sum())
            if not math.isfinite(value):
                raise _diverged("loss", state)
            state.batch += 1
            state.sums = [total + new for total, new in zip(state.sums, (value * len(y), right, len(y)), strict=True)]
            seconds = time.perf_counter() - started
            state.seconds += seconds
            state.epoch_seconds += seconds
            rate = len(y) / seconds if not rate else 0.9 * rate + 0.1 * len(y) / seconds
            yield {
                "event": "step",
                "step": state.step,
                "epoch": state.epoch,
                "loss": value,
                "accuracy": right / len(y),
                "lr": lr,
                "images_per_second": rate,
            }
            if state.batch in checks:
                yield _checked(state, val_images, val_labels)

        validation = _validate(state, val_images, val_labels)
        loss_sum, right_sum, count = state.sums
        state.epoch, state.batch = state.epoch + 1, 0
        seconds, state.sums, state.epoch_seconds = state.epoch_seconds, [0.0, 0.0, 0.0], 0.0
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


def training_loss(config: TrainConfig, model: Classifier, logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy in nats of (N, K) `logits` against (N,) int64 `labels`, with the penalties of `config`.

    Of a log-softmax head this is the negative log-likelihood: log-probabilities are their own log-softmax.
    """
    target = F.one_hot(labels, logits.shape[1]).to(logits.dtype) if config.labels == "one-hot" else labels
    loss = F.cross_entropy(logits, target, label_smoothing=config.label_smoothing)
    if config.l2_first:
        loss = loss + config.l2_first * model.first_dense.weight.square().sum()
    return loss


def make_optimizer(config: TrainConfig, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer that `config` names, over all of the model's parameters."""
    options = {"lr": config.learning_rate, "weight_decay": config.weight_decay, "fused": True}
    if config.optimizer == "sgd":
        return torch.optim.SGD(model.parameters(), momentum=config.momentum, **options)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.optimizer]
    return kind(model.parameters(), **options)


def seconds_per_image(config: TrainConfig, shape: Shape, steps: int = 3) -> float:
    """Training time per image in seconds, measured by a few steps on noise on this machine. Raises ConfigError."""
    device = torch.device(default_device())
    with torch.random.fork_rng():  # whoever asks may be amid a training of its own
        size = (config.batch_size, shape.channels, shape.height, shape.width)
        images = torch.randint(0, 256, size, dtype=torch.uint8, device=device)
        labels = torch.randint(0, shape.classes, (config.batch_size,), device=device)
        model = build_model(config, shape, [0.0] * shape.channels, [1.0] * shape.channels).to(device)
        optimizer = make_optimizer(config, model)
        fastest = math.inf
        for _ in range(steps):
            started = time.perf_counter()
            loss = training_loss(config, model, model(augment(to_unit(images), config)), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item()
            fastest = min(fastest, time.perf_counter() - started)
    return fastest / config.batch_size


def _averager(decay: float) -> Callable[[list[Tensor], list[Tensor], Tensor], None]:
    """An exponential moving average whose memory grows with the steps taken, up to `decay`.

    With a long memory from the start, the random first weights would spoil the average for the first epochs.
    """

    def update(averages: list[Tensor], values: list[Tensor], steps: Tensor) -> None:
        taken = int(steps)
        get_ema_multi_avg_fn(min(decay, (1 + taken) / (10 + taken)))(averages, values, steps)

    return update


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


def set_learning_rate(state: TrainState) -> float:
    """Tells the optimizer the learning rate that is due, and returns it."""
    lr = learning_rate_at(state.config, state.step, state.steps_per_epoch)
    for group in state.optimizer.param_groups:
        group["lr"] = lr
    return lr
