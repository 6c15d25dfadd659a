"""The replay of a log against EventReader, which keeps all events in memory."""

import json

import pytest

from mnist_core.config import TrainConfig
from mnist_core.runs.history import EventReader
from mnist_core.runs.replay import field_names, replay
from mnist_core.runs.run import create_run


def step(number: int) -> dict:
    return {
        "event": "step",
        "step": number,
        "epoch": number // 10,
        "loss": 1.0,
        "accuracy": 0.5,
        "lr": 0.1,
        "images_per_second": 9.0,
    }


VALIDATION = {"event": "validation", "step": 4, "epoch": 0, "val_loss": 1.0, "val_accuracy": 0.5}
STOPPED = {"event": "end", "reason": "stopped", "step": 6, "train_seconds": 1.0}
LOGS = {
    "whole": [step(n) for n in range(1, 6)],
    "resumed": [*map(step, range(1, 7)), STOPPED, {"event": "resume", "step": 3}, *map(step, range(4, 9))],
    "resumed twice": [
        *map(step, range(1, 7)),
        VALIDATION,
        {"event": "resume", "step": 4, "checked": 3},
        step(5),
        VALIDATION,
        {"event": "resume", "step": 2, "note": "older"},
        step(3),
    ],
    "empty": [],
}


@pytest.mark.parametrize("log", LOGS)
def test_a_replay_is_what_the_reader_gives(tmp_path, log):
    run = create_run(TrainConfig(dataset="digits"), tmp_path)
    lines = [json.dumps(event) for event in LOGS[log]]
    run.metrics_path.write_text("\n".join([*lines[:2], "damaged", *lines[2:], '{"event": "step", "st']))
    expected = EventReader(run).read()
    assert list(replay(run)) == expected
    assert field_names(run) == list(dict.fromkeys(name for event in expected for name in event))
