"""Every model there is to choose, shipped or trained here, and its Predictor, loaded once a process."""

from __future__ import annotations

import contextlib
import functools
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mnist_core.errors import CheckpointError, LabError, RunError
from mnist_core.models.card import Card
from mnist_core.models.checkpoint import SHIPPED, read_card, shipped_names
from mnist_core.runs.run import Run, list_runs, open_run

if TYPE_CHECKING:
    from mnist_core.inference.predictor import Predictor

READS_DRAWINGS = "pen"  # of the shipped models the one to begin with
_LOADED = 8  # predictors that are kept
_loading = threading.Lock()


@dataclass(frozen=True)
class Model:
    """A checkpoint that can be chosen; `id` is the shipped name or the run's, `damage` what is amiss with it.

    `run` is None for a shipped one.
    """

    id: str
    folder: Path
    card: Card
    run: Run | None = None
    damage: str = ""


def models() -> list[Model]:
    """The best reader of drawings, the other shipped ones, then those of ended runs, the newest first."""
    found = []
    for name in sorted(shipped_names(), key=lambda name: name != READS_DRAWINGS):
        found += _model(name, SHIPPED / name)
    for run in list_runs():
        folder = run.checkpoint()
        if folder is not None and not run.status().active:
            found += _model(run.id, folder, run, run.damage())
    return found


def find_model(model_id: str) -> Model:
    """The model called `model_id`: a shipped one, or that of an ended run. Raises CheckpointError.

    A name that is no plain name never becomes a path.
    """
    if model_id in shipped_names():
        return Model(model_id, SHIPPED / model_id, read_card(SHIPPED / model_id))
    with contextlib.suppress(RunError):
        run = open_run(model_id)
        folder = run.checkpoint()
        if folder is not None and not run.status().active:
            return Model(model_id, folder, read_card(folder), run, run.damage())
    raise CheckpointError(f"There is no model '{model_id[:100]}'.")


def _model(model_id: str, folder: Path, run: Run | None = None, damage: str = "") -> list[Model]:
    try:
        return [Model(model_id, folder, read_card(folder), run, damage)]
    except LabError:
        return []  # a damaged checkpoint is no choice; choosing it by path says what is wrong


def predictor(model: Model) -> Predictor:
    """The loaded model, from memory after the first time. Thread-safe. Raises CheckpointError."""
    with _loading:  # two that ask at once must not both load it
        return _predictor(model.folder, model.card.model_dump_json())  # a card may be calibrated anew


@functools.lru_cache(_LOADED)
def _predictor(folder: Path, card: str) -> Predictor:
    from mnist_core.inference.predictor import Predictor

    return Predictor(folder)
