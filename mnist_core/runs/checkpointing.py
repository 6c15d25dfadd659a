"""A run's checkpoints: the last two and the best are kept. The result is evaluated once on the test images."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import Timeout

from mnist_core.data.dataset import Dataset
from mnist_core.data.prepare import load_for
from mnist_core.data.statistics import ground_level
from mnist_core.errors import RunError
from mnist_core.inference.calibration import calibrated
from mnist_core.inference.metrics import evaluate
from mnist_core.inference.network import Network
from mnist_core.models.card import About
from mnist_core.models.checkpoint import is_whole, load_checkpoint, read_card, save_checkpoint, update_card
from mnist_core.models.weights_file import write_weights_file
from mnist_core.runs.forgetting import before_and_after
from mnist_core.runs.history import EventLog, EventReader, end_event
from mnist_core.runs.run import Run
from mnist_core.runs.weight_snapshots import snapshot_path
from mnist_core.training.events import EpochEvent

if TYPE_CHECKING:
    from mnist_core.training.state import TrainState


class RunCheckpoints:
    """The run's checkpoints. `chosen` is the folder of the one that `config.keep` selects so far.

    Checkpoints later than `state`, from which the run was resumed, are ignored: they are written again. Raises OSError.
    """

    def __init__(self, run: Run, data: Dataset, state: TrainState) -> None:
        self.run, self.data, self.config = run, data, state.config
        self._ground = ground_level(data.train_images)
        self.chosen: Path | None = None
        self._best: tuple[float, float] | None = None
        for folder in filter(is_whole, run.checkpoints()):
            if (card := read_card(folder)).step <= state.step:
                self._consider(folder, card.metrics)
        if state.epoch and not state.batch and not is_whole(self._folder(state)):
            # damaged since it was written, and the same weights are at hand
            epochs = [event for event in EventReader(run).read() if event["event"] == "epoch"]
            self.save(state, next((event for event in epochs if event["epoch"] == state.epoch), None))

    def save(self, state: TrainState, event: EpochEvent | None) -> None:
        """Writes the checkpoint of the epoch that `event` reports, or of a stop within one. Raises OSError."""
        metrics: dict[str, float] = {}
        if event is not None:
            metrics = {
                "train_loss": event["train_loss"],
                "train_accuracy": event["train_accuracy"],
                "val_loss": event["val_loss"],
                "val_accuracy": event["val_accuracy"],
                "val_images": len(state.val_indices),
            }
        logits = state.validation_logits(self.data.train_images[state.val_indices])
        folder = self._folder(state)
        save_checkpoint(
            folder,
            state.best_model,
            **self.described(state),
            metrics=metrics,
            **calibrated(logits.numpy(), self.data.train_labels[state.val_indices]),
        )
        self._consider(folder, metrics)
        kept = sorted(self.run.folder.glob("checkpoints/epoch-*"))[-2:]
        for old in self.run.folder.glob("checkpoints/epoch-*"):
            if old not in kept and old != self.chosen:
                shutil.rmtree(old, ignore_errors=True)

    def save_snapshot(self, state: TrainState) -> None:
        """Writes the weights of this step, with a card that has neither metrics nor temperature. Raises OSError."""
        path = snapshot_path(self.run, state.step)
        path.parent.mkdir(exist_ok=True)
        write_weights_file(path, state.best_model, **self.described(state))

    def described(self, state: TrainState) -> dict[str, Any]:
        """The fields of the card that do not depend on what was measured."""
        return {
            "name": self.run.id,
            "architecture": self.config.model,
            "classes": list(self.data.classes),
            "input_shape": tuple(self.data.train_images.shape[1:]),
            "dataset": self.config.dataset,
            "ground": self._ground,
            "config": state.config,
            "changes": [{name: change[name] for name in ("step", "field", "from", "to")} for change in state.changes],
            "epoch": state.epoch,
            "step": state.step,
            "train_seconds": round(state.seconds, 3),
            "about": About(
                data=[source[:1000] for source in (*self.data.sources, *state.notes)],
                limits=[self.data.warning[:1000]] if self.data.warning else [],  # what was left out, say
            ),
        }

    def _folder(self, state: TrainState) -> Path:
        return self.run.folder / "checkpoints" / f"epoch-{state.epoch + bool(state.batch):03d}"

    def _consider(self, folder: Path, metrics: dict[str, float]) -> None:
        score = (metrics.get("val_accuracy", 0.0), -metrics.get("val_loss", 0.0))
        if self.config.keep == "last" or self._best is None or score > self._best:
            self.chosen, self._best = folder, score

    def metrics(self) -> dict[str, float]:
        """The metrics in the chosen checkpoint's card."""
        return dict(read_card(self.chosen).metrics) if self.chosen is not None else {}

    def evaluate_on_test(self) -> dict[str, float]:
        """Evaluates the chosen checkpoint on the test images, once. → its metrics. Raises OSError."""
        if self.chosen is None:
            raise RunError(f"Run {self.run.id} has no checkpoint to evaluate.")
        return evaluate_on_test(self.chosen, self.data)


def evaluate_on_test(folder: Path, data: Dataset) -> dict[str, float]:
    """Evaluates the checkpoint on the test images of `data` and writes that into its card. → all metrics of the card.

    Raises CheckpointError or OSError.
    """
    checkpoint = load_checkpoint(folder)
    result = evaluate(Network(checkpoint), data.test_images, data.test_labels)
    metrics = {
        **checkpoint.card.metrics,
        "test_loss": result.loss,
        "test_accuracy": result.accuracy,
        "test_images": len(data.test_labels),
    }
    if data.earlier is not None and checkpoint.card.config.init_from:
        metrics |= before_and_after(checkpoint, data, data.earlier)
    update_card(folder, metrics=metrics)
    return metrics


def evaluate_stopped_run(run: Run, data_dir: Path | str | None = None) -> dict[str, float]:
    """Evaluates the model of a stopped run, or of a search's trial, on the test images, once; the result goes into its
    card and a new `end` event.

    Raises RunError where there is nothing to measure, and DataError or CheckpointError.
    """
    folder, state = run.checkpoint(), run.status().state
    if folder is None or not (state == "stopped" or (state == "completed" and run.trial)):
        raise RunError(f"Run {run.id} has not been stopped with a model: there is nothing to evaluate.")
    try:
        with run.lock.acquire(timeout=0):
            card = load_checkpoint(folder).card
            if "test_accuracy" in card.metrics:
                return card.metrics
            data = load_for(card.config, data_dir, shape=card.shape, classes=card.classes)
            metrics = evaluate_on_test(folder, data)
            with EventLog(run.metrics_path) as log:
                log.add(end_event(state, card.step, card.train_seconds, metrics))
                log.sync()
            return metrics
    except Timeout:
        raise RunError(f"Run {run.id} goes on just now: it is evaluated when it ends.") from None
    except OSError as error:
        raise RunError(f"What was measured of run {run.id} cannot be written ({error.strerror}).") from None
