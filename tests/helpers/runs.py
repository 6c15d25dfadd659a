"""Runs that are short and can be repeated bit for bit, and what they leave."""

import os

import safetensors.torch
import torch

from mnist_core.config import TrainConfig
from mnist_core.runs.history import EventReader
from mnist_core.runs.run import Run, create_run
from tests.helpers import strict_json

# 1,149 training images of the digits in batches of 128: 9 steps an epoch
CONFIG = TrainConfig(
    recipe="test",
    dataset="digits",
    model="mlp",
    epochs=3,
    batch_size=128,
    learning_rate=0.003,
    dropout=0.2,
    translation=1,
    ema_decay=0.9,
    validation_fraction=0.2,
)
TIMES = ("seconds", "images_per_second", "train_seconds")


def created(tmp_path, **changes: object) -> Run:
    return create_run(CONFIG.replace(**changes), tmp_path / "runs")


def events(run: Run) -> list[dict]:
    return EventReader(run).read()


def written(run: Run) -> list[dict]:
    """Every line as it stands in the file, each strict JSON."""
    lines = (run.folder / "metrics.jsonl").read_text().splitlines()
    return [strict_json(line) for line in lines]


def weights(run: Run) -> dict[str, torch.Tensor]:
    return safetensors.torch.load((run.checkpoint() / "model.safetensors").read_bytes())


def steps(found: list[dict]) -> list[int]:
    return [event["step"] for event in found if event["event"] == "step"]


class Killed(BaseException):
    """Passes through everything, as a kill does."""


# with more that has a state of its own
RESUMABLE = CONFIG.replace(
    recipe="killed",
    optimizer="adamw",
    weight_decay=0.01,
    schedule="one-cycle",
    rotation=5,
    validations_per_epoch=2,
)


class Evil:
    """Unpickling it makes a directory of its name."""

    def __init__(self, target: str) -> None:
        self.target = target

    def __reduce__(self):
        return os.mkdir, (self.target,)


def untimed(found: list[dict]) -> list[dict]:
    """Events but for how long they took."""
    return [{name: value for name, value in event.items() if name not in TIMES} for event in found]


def timeless(run: Run) -> list[dict]:
    """What happened, but for how long it took and where it was taken up again."""
    return untimed([event for event in events(run) if event["event"] not in ("start", "resume")])
