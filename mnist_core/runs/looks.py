"""Looks at a network while it trains: its weights, norms and a few validation images, once a second, on request.

Whoever watches touches a file in the run's folder every second. While that is fresh, the process that trains writes
what the network is just now into another, and the watcher computes pictures of it. A page that is closed touches
nothing any more, and the training is alone again.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_core.errors import CheckpointError
from mnist_core.figures.packed import packed
from mnist_core.inference.learning import fixed_digits
from mnist_core.models.architectures import describe
from mnist_core.models.checkpoint import Checkpoint
from mnist_core.models.layers import Conv2d, Linear, Sequential, named_layers
from mnist_core.models.weights_file import read_with_notes, write_weights_file
from mnist_core.runs.run import Run

if TYPE_CHECKING:
    from torch import Tensor

    from mnist_core.data.dataset import Dataset
    from mnist_core.training.state import TrainState

ASKED, FILE = ".look", "look.safetensors"  # in the run's folder
LOOK_SECONDS = 1.0
FRESH_SECONDS = 5.0  # for which a request holds
MOST_SHARE = 0.02  # of the training's time that looks take: of a large network there are fewer
MOST_ROWS = 200  # of norms; of more every second one is dropped


def ask(run: Run) -> None:
    """Requests looks at the run for FRESH_SECONDS. A folder that cannot be written has none."""
    with contextlib.suppress(OSError):
        (run.folder / ASKED).touch()


def is_asked(run: Run) -> bool:
    """Whether somebody watches."""
    try:
        return time.time() - os.stat(run.folder / ASKED).st_mtime < FRESH_SECONDS
    except OSError:
        return False


class Looks:
    """Writes looks of a training. `described` gives the card's fields for a state, as of a checkpoint.

    As a context it removes the files when the training ends.
    """

    def __init__(
        self, run: Run, data: Dataset, state: TrainState, described: Callable[[TrainState], dict[str, Any]]
    ) -> None:
        self._run, self._data, self._described = run, data, described
        self._next, self._step = 0.0, -1
        self._norms = Norms(describe(state.config, data.shape))
        self._digits: dict[str, Any] | None = None

    def __enter__(self) -> Looks:
        return self

    def __exit__(self, *_: object) -> None:
        for name in (ASKED, FILE):
            with contextlib.suppress(OSError):
                (self._run.folder / name).unlink(missing_ok=True)

    def take(self, state: TrainState) -> None:
        """Writes a look where one is due; else it costs a comparison. A disk that refuses it is left alone."""
        begun = time.monotonic()
        if begun < self._next:
            return
        self._next = begun + LOOK_SECONDS
        if state.step == self._step or not is_asked(self._run):
            return
        self._step = state.step
        self._norms.take(state)
        if self._digits is None:
            self._digits = self._fixed_digits(state)
        notes = {"digits": self._digits, "norms": self._norms.value(), "per_epoch": state.steps_per_epoch}
        with contextlib.suppress(OSError):
            path = self._run.folder / FILE
            write_weights_file(path, state.best_model, durable=False, notes=notes, **self._described(state))
        took = time.monotonic() - begun
        self._next = begun + max(LOOK_SECONDS, took / MOST_SHARE)

    def _fixed_digits(self, state: TrainState) -> dict[str, Any]:
        """The validation images that are read again and again, with their labels."""
        labels = self._data.train_labels[state.val_indices]
        rows = fixed_digits(labels)
        images = self._data.train_images[state.val_indices[rows]]
        return {"images": packed(images), "labels": labels[rows].tolist()}


class Norms:
    """Euclidean norms of the weights of each layer of `network` and of their gradients, from step to step."""

    def __init__(self, network: Sequential) -> None:
        self.layers = [name for name, layer in named_layers(network) if isinstance(layer, Conv2d | Linear)]
        self.rows: list[tuple[int, list[float | None], list[float | None]]] = []
        self._every, self._calls = 1, 0

    def take(self, state: TrainState) -> None:
        """Adds a row: the step, the norm of each layer's weights, and of their gradients in that step's batch."""
        parameters = dict(state.model.named_parameters())
        weights = [parameters[f"net.{name}.weight"] for name in self.layers]
        if any(weight.grad is None for weight in weights):
            return  # a training that was resumed has had no batch yet
        if self._calls % self._every == 0:
            self.rows.append((state.step, [*map(_norm, weights)], [_norm(weight.grad) for weight in weights]))
        self._calls += 1
        if len(self.rows) > MOST_ROWS:
            self.rows, self._every = self.rows[::2], 2 * self._every

    def value(self) -> dict[str, Any]:
        """As JSON."""
        return {"layers": self.layers, "rows": self.rows}


def _norm(value: Tensor | None) -> float | None:
    found = math.nan if value is None else float(value.detach().float().norm())
    return float(f"{found:.4g}") if math.isfinite(found) else None


def newest(run: Run) -> tuple[str, Checkpoint, dict[str, Any]] | None:
    """A stamp that changes with each look, the network at the newest one, and its notes; None where there is none."""
    path = run.folder / FILE
    try:
        found = os.stat(path)
        return f"{found.st_mtime_ns}-{found.st_ino}", *_read(path, found.st_mtime_ns, found.st_ino)
    except (OSError, CheckpointError):
        return None


@functools.lru_cache(8)
def _read(path: Path, *_stamp: int) -> tuple[Checkpoint, dict[str, Any]]:
    return read_with_notes(path)
