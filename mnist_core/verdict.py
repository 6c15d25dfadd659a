"""The look at the test images: once for each model, at the end of its training or when somebody asks after a stop."""

from __future__ import annotations

import json
from pathlib import Path

from filelock import Timeout

from mnist_core.data.dataset import Dataset
from mnist_core.data.loading import load_dataset
from mnist_core.data.splits import arrange
from mnist_core.errors import RunError
from mnist_core.inference.metrics import infer, loss_and_accuracy
from mnist_core.models.checkpoint import load_checkpoint, update_card
from mnist_core.runs import Run


def judge(folder: Path, data: Dataset) -> dict[str, float]:
    """Measures the checkpoint on the test images of (arranged) `data`; kept in its card. → all metrics of the card.

    Raises CheckpointError or OSError.
    """
    checkpoint = load_checkpoint(folder)
    loss, accuracy = loss_and_accuracy(infer(checkpoint.model, data.test_images), data.test_labels)
    metrics = {**checkpoint.card.metrics, "test_loss": loss, "test_accuracy": accuracy}
    update_card(folder, metrics=metrics)
    return metrics


def judge_stopped(run: Run, data_dir: Path | str | None = None) -> dict[str, float]:
    """Measures a stopped run's model on the test images, once: in its card, and as the run's new `end` event.

    Raises RunError where there is nothing to measure, and DataError or CheckpointError.
    """
    folder, config = run.checkpoint(), run.config()
    if folder is None or run.status().state != "stopped":
        raise RunError(f"Run {run.id} has not been stopped with a model: there is nothing to evaluate.")
    try:
        with run.lock.acquire(timeout=0):
            card = load_checkpoint(folder).card
            if "test_accuracy" in card.metrics:
                return card.metrics
            metrics = judge(folder, arrange(load_dataset(config.dataset, data_dir), config))
            end = {"event": "end", "reason": "stopped", "step": card.step, "train_seconds": card.train_seconds}
            with run.metrics_path.open("a", encoding="utf-8") as log:
                log.write(json.dumps({**end, **metrics}) + "\n")
            return metrics
    except Timeout:
        raise RunError(f"Run {run.id} goes on just now: it is evaluated when it ends.") from None
    except OSError as error:
        raise RunError(f"What was measured of run {run.id} cannot be written ({error.strerror}).") from None
