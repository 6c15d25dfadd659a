"""TrainState: everything that a training carries from one step to the next. It can be saved between any two."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from mnist_core.config import NETWORK, Shape, TrainConfig, parse_stored_config
from mnist_core.data.augment import Draws
from mnist_core.data.classes import MAPPING, match_classes
from mnist_core.data.dataset import Dataset
from mnist_core.data.draws import draw_notes, noisy_labels
from mnist_core.data.splits import train_and_validation
from mnist_core.data.statistics import pixel_statistics
from mnist_core.errors import ConfigError
from mnist_core.models.checkpoint import Checkpoint, find_checkpoint, load_checkpoint
from mnist_core.models.classifier import Classifier, build_model, infer, permute_outputs, set_dropout
from mnist_core.system.device import default_device, use_threads
from mnist_core.system.processes import Group
from mnist_core.training.batch_norm import synchronize_batch_norm
from mnist_core.training.batches import batches, mixed_seed
from mnist_core.training.checks import check_batches, check_data
from mnist_core.training.early_stopping import EarlyStopping
from mnist_core.training.events import ChangeEvent
from mnist_core.training.optim import _averager, make_optimizer


class TrainState:
    """What a training carries from one step to the next: weights, optimizer, average, position, random state.

    `data` is a dataset that is prepared for `config` (`load_for`). Raises ConfigError or DataError when the two do not
    fit or nothing could be learned (see `checks.py`), CheckpointError when `config.init_from` or `config.teachers`
    names no model. With a `group` of several processes each makes the same state, and they train together.
    """

    def __init__(
        self, config: TrainConfig, data: Dataset, device: str | None = None, group: Group | None = None
    ) -> None:
        if config.preparation == "auto":
            config = config.replace(preparation=data.preparation)  # decided once, and recorded in the card
        self.config = config
        use_threads(config.threads)
        self.group = group or Group()
        self.device = torch.device(device or self.group.device or default_device())
        own = len(data.train_labels) - data.extra
        check_data(data.train_images[:own], data.train_labels[:own])
        self.train_indices, self.val_indices = train_and_validation(data, config)
        drawn = self.train_indices[self.train_indices < own]
        # what is learned from: the labels of validation and of auxiliary images stay as they are
        self.labels = noisy_labels(data.train_labels, drawn, len(data.classes), config.label_noise, config.seed)
        self.notes = draw_notes(config, len(drawn))
        pretrained = load_pretrained(config, data.shape, data.classes) if config.init_from else None
        self.teachers = [model.to(self.device) for model in load_teachers(config, data.shape, data.classes)]
        if pretrained is not None:  # its weights know its own normalisation
            self.mean, self.std = list(pretrained.card.mean), list(pretrained.card.std)
        elif config.normalization == "standard":
            # of the training images only: validation must not be known beforehand
            self.mean, self.std = pixel_statistics(data.train_images[self.train_indices])
        else:
            self.mean, self.std = [0.0] * data.shape.channels, [1.0] * data.shape.channels
        torch.manual_seed(config.seed)
        self.model: Classifier = build_model(config, data.shape, self.mean, self.std).to(self.device)
        synchronize_batch_norm(self.model, self.group)
        check_batches(config, self.model, len(self.train_indices))
        if pretrained is not None:
            self.model.load_state_dict(pretrained.model.state_dict())
        # of the weights that are kept (`best_model`)
        self._initial = pretrained.model.state_dict() if pretrained is not None and config.init_share else None
        self._interpolated: tuple[int, Classifier] | None = None
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
        self.early_stopping = EarlyStopping()
        self.changes: list[ChangeEvent] = []  # of settings, on the way
        self.last_change = 0  # number of the last change that was requested (see runs/control.py)
        self._validated: tuple[int, bool, Tensor] | None = None  # step, whether together, logits

    def validation_logits(self, images: np.ndarray | Tensor, together: bool = False) -> Tensor:
        """(N, C, H, W) uint8 validation images → (N, K) logits of `best_model`, computed once a step.

        `together`, each process computes its part; then all have to ask for them.
        """
        together = together and self.group.size > 1
        if self._validated is None or self._validated[0] != self.step or (together and not self._validated[1]):
            logits = infer(self.best_model, images[self.group.part(len(images))] if together else images)
            self._validated = self.step, together, torch.cat(self.group.gather(logits)) if together else logits
        return self._validated[2]

    def draws(self, images: int) -> Draws:
        """Random numbers to augment the next batch, of so many `images`: by seed and position alone, so that they are
        the same after a resume and for any number of processes. Dropout's, in turn, differ between processes."""
        place = (self.config.seed, self.epoch, self.batch)
        if self.group.size > 1:
            torch.manual_seed(mixed_seed(*place, self.group.rank + 1))
        generator = torch.Generator(self.device).manual_seed(mixed_seed(*place))
        return Draws(images, self.group.part(images), generator)

    @property
    def step(self) -> int:
        """Batches finished since the start."""
        return self.epoch * self.steps_per_epoch + self.batch

    @property
    def total_steps(self) -> int:
        return self.config.epochs * self.steps_per_epoch

    @property
    def checks(self) -> set[int]:
        """Batches of an epoch after which validation is due, the last one not among them."""
        parts = self.config.validations_per_epoch
        return {round(self.steps_per_epoch * part / parts) for part in range(1, parts)}

    @property
    def before_batch(self) -> bool:
        """Whether a batch comes next, rather than a validation that is due."""
        unchecked = self.batch in self.checks and self.checked < self.step
        return self.batch < self.steps_per_epoch and not unchecked

    @property
    def stopped_early(self) -> bool:
        """Whether validation has not become better for as long as `patience` says."""
        return self.early_stopping.due(self.config.patience)

    @property
    def finished(self) -> bool:
        return self.epoch >= self.config.epochs or self.stopped_early

    @property
    def best_model(self) -> Classifier:
        """The weights to evaluate and to keep: the average over steps where there is one, else the last.

        With `init_share` they lie between those that the training began with and these (M. Wortsman et al., Robust
        fine-tuning of zero-shot models, 2022, arXiv:2109.01903).
        """
        trained = self.model if self.ema is None else self.ema.module
        assert isinstance(trained, Classifier)  # torch's types know it as a Module only
        if self._initial is None:
            return trained
        if self._interpolated is None or self._interpolated[0] != self.step:
            self._interpolated = self.step, self._between(self._initial, trained)
        return self._interpolated[1]

    def _between(self, initial: Mapping[str, Tensor], trained: Classifier) -> Classifier:
        model, share = copy.deepcopy(trained), self.config.init_share
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                value.lerp_(initial[name].to(value.device), share)
        return model

    def change(self, name: str, value: Any, asked: int = 0) -> ChangeEvent:
        """Gives a setting of `changes.CHANGEABLE` another value. → the event `change`. Raises ConfigError."""
        before, self.config = self.config, self.config.replace(**{name: value})
        self._use_config()
        event: ChangeEvent = {
            "event": "change",
            "step": self.step,
            "field": name,
            "from": getattr(before, name),
            "to": getattr(self.config, name),
            "asked": asked,
        }
        self.changes.append(event)
        return event

    def _use_config(self) -> None:
        """Copies the settings that network, optimizer and process keep themselves."""
        use_threads(self.config.threads)
        for model in (self.model, self.best_model):
            set_dropout(model, self.config.dropout)
        for group in self.optimizer.param_groups:
            group["weight_decay"] = self.config.weight_decay

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
            "patience": list(astuple(self.early_stopping)),
            "changes": list(self.changes),
            "obeyed": self.last_change,
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state() if self.device.type == "cuda" else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues where `state_dict` was taken. Raises RuntimeError or KeyError when it is another training's."""
        self.model.load_state_dict(state["model"])
        self._interpolated = None
        self.optimizer.load_state_dict(state["optimizer"])
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])
        self.epoch, self.batch, self.checked = state["position"]
        self.seconds, self.epoch_seconds = state["seconds"]
        self.sums = list(state["sums"])
        # earlier versions saved neither patience nor changes
        self.early_stopping = EarlyStopping(*state.get("patience", ()))
        self.changes, self.last_change = list(state.get("changes", [])), state.get("obeyed", 0)
        self.config = parse_stored_config(state["config"])
        self._use_config()
        torch.set_rng_state(state["rng"])
        if self.device.type == "cuda" and state["cuda_rng"] is not None:
            torch.cuda.set_rng_state(state["cuda_rng"])


def load_pretrained(config: TrainConfig, shape: Shape, classes: Sequence[str]) -> Checkpoint:
    """The checkpoint that `config.init_from` names, with its outputs in the order of `classes`. Raises CheckpointError
    when it cannot be read or reads other images, DataError when it tells apart other classes, ConfigError when it is
    another network."""
    checkpoint = load_checkpoint(find_checkpoint(config.init_from))
    card = checkpoint.card
    theirs = card.config.model_dump() | {"model": card.architecture}
    differing = [name for name in NETWORK if getattr(config, name) != theirs[name]]
    if differing:
        needed = ", ".join(f"{name}={theirs[name]}" for name in differing)
        raise ConfigError(f"The model {config.init_from} is another network: to begin with its weights, set {needed}.")
    card.require(shape, config.dataset)
    _in_order(checkpoint, config, config.init_from, classes)
    return checkpoint


def load_teachers(config: TrainConfig, shape: Shape, classes: Sequence[str] | None = None) -> list[Classifier]:
    """The models that `config.teachers` names, of any architecture, for inference, with their outputs in the order of
    `classes`, if given. Raises CheckpointError when one cannot be read or reads other images, DataError when it tells
    apart other classes."""
    models = []
    for name in filter(None, (part.strip() for part in config.teachers.split(","))):
        checkpoint = load_checkpoint(find_checkpoint(name))
        checkpoint.card.require(shape, config.dataset)
        _in_order(checkpoint, config, name, classes)
        models.append(checkpoint.model.eval().requires_grad_(False))
    return models


def _in_order(checkpoint: Checkpoint, config: TrainConfig, name: str, classes: Sequence[str] | None) -> None:
    """Reorders the outputs of a model that tells apart the same `classes` in another order. Raises DataError."""
    theirs = checkpoint.card.classes
    if classes is None or list(classes) == theirs:
        return
    places = match_classes(classes, theirs, config.classes, whose=f"the model {name}", how=MAPPING)
    permute_outputs(checkpoint.model, [places.index(place) for place in range(len(classes))])
