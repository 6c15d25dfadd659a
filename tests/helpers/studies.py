"""A study and the events that its runs would have written."""

from mnist_core.config import TrainConfig
from mnist_core.experiments.ablation import Factor, Study, create_study
from mnist_core.runs.run import Run
from tests.helpers.events import append, end, epoch, start

BASE = TrainConfig(recipe="quick", dataset="digits", model="mlp", epochs=2)


def study(values: list[float], seeds: list[int]) -> Study:
    return create_study(BASE, [Factor("dropout", values)], seeds)


def finish(run: Run, val_loss: float, test_accuracy: float = 0.9, first_loss: float = 1.0) -> None:
    """Writes what a worker would have written of two epochs and a completed run."""
    events = [
        start(),
        epoch(1, loss=first_loss, accuracy=0.5, train_loss=1.5),
        epoch(2, loss=val_loss, accuracy=0.8, train_loss=0.5),
        end(test_accuracy=test_accuracy),
    ]
    write(run, events)


def write(run: Run, events: list[dict], state: str = "completed") -> None:
    run.metrics_path.unlink(missing_ok=True)
    append(run, *events)
    run.finish(state)


def finish_all(made: Study, losses: list[list[float]]) -> None:
    """`losses[i][k]` of setting i and seed number k."""
    for setting, row in enumerate(losses):
        for seed, loss in enumerate(row):
            finish(made.run(setting, seed), loss)
