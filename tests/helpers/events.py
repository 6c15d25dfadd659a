"""Whole events of a small training: 4 steps an epoch, 2 epochs, 400 images."""

import json

from mnist_core.runs.run import Run


def start(**more: object) -> dict:
    counts = {"steps_per_epoch": 4, "total_steps": 8, "parameters": 70, "train_images": 400, "val_images": 40}
    return {"event": "start", "step": 0, **counts, **more}


def step(number: int, rate: float = 100.0, **more: object) -> dict:
    measured = {"loss": 1 / number, "accuracy": number / 10, "lr": 0.1, "images_per_second": rate}
    return {"event": "step", "step": number, "epoch": (number - 1) // 4, **measured, **more}


def validation(number: int, loss: float = 0.9, accuracy: float = 0.6) -> dict:
    return {"event": "validation", "step": number, "epoch": 0, "val_loss": loss, "val_accuracy": accuracy}


def epoch(number: int, seconds: float = 8.0, loss: float = 0.5, accuracy: float = 0.9, **more: object) -> dict:
    measured = {"train_loss": 0.7, "train_accuracy": 0.8, "val_loss": loss, "val_accuracy": accuracy}
    return {"event": "epoch", "epoch": number, "step": 4 * number, **measured, "seconds": seconds, **more}


def change(number: int, field: str = "dropout", before: float = 0.1, to: float = 0.2) -> dict:
    return {
        "event": "change",
        "step": number,
        "field": field,
        "from": before,
        "to": to,
        "asked": 1_795_704_355_682_945_500 + number,
    }


def resume(number: int, **more: object) -> dict:
    return {"event": "resume", "step": number, **more}


def end(**more: object) -> dict:
    return {"event": "end", "reason": "completed", "step": 8, **more}


def append(run: Run, *parts: dict | bytes) -> None:
    """Writes events, or bytes as they are, behind what the run's metrics.jsonl holds."""
    with (run.folder / "metrics.jsonl").open("ab") as file:
        for part in parts:
            file.write(part if isinstance(part, bytes) else json.dumps(part).encode() + b"\n")
