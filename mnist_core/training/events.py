"""Events: what a training reports, and what a run's metrics.jsonl holds, one JSON object a line.

Losses are mean cross-entropies in nats, accuracies in [0, 1], times in seconds. `step` counts finished batches and
`epoch` finished epochs since the start.
"""

from __future__ import annotations

from typing import (
    Literal,
    NotRequired,  # pydantic reads these, not typing's, before Python 3.12
)

from typing_extensions import TypedDict


class StartEvent(TypedDict):
    """A training begins, or goes on in new processes. Parameters, images and processes are counts."""

    event: Literal["start"]
    step: int
    steps_per_epoch: int
    total_steps: int
    parameters: int
    train_images: int
    val_images: int
    device: NotRequired[str]
    processor: NotRequired[str]
    processes: NotRequired[int]


class StepEvent(TypedDict):
    """After each batch: its loss and accuracy, the learning rate it had, and the pace."""

    event: Literal["step"]
    step: int
    epoch: int
    loss: float
    accuracy: float
    lr: float
    images_per_second: float


class ValidationEvent(TypedDict):
    """A validation within an epoch."""

    event: Literal["validation"]
    step: int
    epoch: int
    val_loss: float
    val_accuracy: float


class EpochEvent(TypedDict):
    """After each epoch: means over its batches, and its validation. `seconds` is the epoch's training time."""

    event: Literal["epoch"]
    epoch: int
    step: int
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    seconds: float


# "from" is a keyword, hence the other notation. `asked` is the number of the request (see runs/control.py)
ChangeEvent = TypedDict(
    "ChangeEvent",
    {
        "event": Literal["change"],
        "step": int,
        "field": str,
        "from": bool | int | float,
        "to": bool | int | float,
        "asked": int,
    },
)
"""A setting has another value from the next batch on."""


class ResumeEvent(TypedDict):
    """The training goes on from a saved state: what was written after that state happens again.

    `checked` is the step of the last validation within an epoch. Runs of early versions have neither it nor `epoch`.
    """

    event: Literal["resume"]
    step: int
    epoch: NotRequired[int]
    checked: NotRequired[int]
    note: NotRequired[str]


class EndEvent(TypedDict):
    """The training has ended, with the metrics of the checkpoint that is its result.

    `diagnosis` is a sentence where that is no better than guessing, or the loss ceased to be a number.
    """

    event: Literal["end"]
    reason: str
    diagnosis: NotRequired[str]
    step: NotRequired[int]
    train_seconds: NotRequired[float]
    train_loss: NotRequired[float]
    train_accuracy: NotRequired[float]
    val_loss: NotRequired[float]
    val_accuracy: NotRequired[float]
    test_loss: NotRequired[float]
    test_accuracy: NotRequired[float]
    val_images: NotRequired[int]
    test_images: NotRequired[int]


Event = StartEvent | StepEvent | ValidationEvent | EpochEvent | ChangeEvent | ResumeEvent | EndEvent
