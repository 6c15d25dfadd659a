"""A study and the events that its runs would have written."""

import json

from mnist_core.config import TrainConfig
from mnist_core.experiments.ablation import Factor, Study, create_study
from mnist_core.runs.run import Run

BASE = TrainConfig(recipe="quick", dataset="digits", model="mlp", epochs=2)


def study(values: list[float], seeds: list[int]) -> Study:
    return create_study(BASE, [Factor("dropout", values)], seeds)


def finish(run: Run, val_loss: float, test_accuracy: float = 0.9, first_loss: float = 1.0) -> None:
    """Writes what a worker would have written of two epochs and a completed run."""
    events = [
        {"event": "start", "step": 0, "steps_per_epoch": 4},
        {"event": "epoch", "epoch": 1, "train_loss": 1.5, "val_loss": first_loss, "val_accuracy": 0.5, "seconds": 1},
        {"event": "epoch", "epoch": 2, "train_loss": 0.5, "val_loss": val_loss, "val_accuracy": 0.8, "seconds": 1},
        {"event": "end", "reason": "completed", "step": 8, "test_accuracy": test_accuracy},
    ]
    write(run, events)


def write(run: Run, events: list[dict], state: str = "completed") -> None:
    (run.folder / "metrics.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    run.finish(state)


def finish_all(made: Study, losses: list[list[float]]) -> None:
    """`losses[i][k]` of setting i and seed number k."""
    for setting, row in enumerate(losses):
        for seed, loss in enumerate(row):
            finish(made.run(setting, seed), loss)
