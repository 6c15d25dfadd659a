"""A long run of `quick` in a lab's own worker, and how fast it goes: other benchmarks see what they take from it."""

from __future__ import annotations

import time

from mnist_core.recipes import get_recipe
from mnist_core.runs.history import HistoryReader
from mnist_core.runs.queue import Queue
from mnist_core.runs.run import Run, create_run
from tests.e2e.lab import Lab


def batches_per_second(run: Run, seconds: float) -> float:
    """How fast the run goes, over that time."""
    reader = HistoryReader(run)

    def now() -> tuple[float, float]:
        return reader.history().train.step[-1], time.monotonic()

    first, begun = now()
    time.sleep(seconds)
    last, ended = now()
    return (last - first) / (ended - begun)


def start_training(running: Lab) -> Run:
    """A long run of `quick`, in the hands of the server's worker; returns when it is at work."""
    run = create_run(get_recipe("quick").config("mnist").replace(epochs=200), running.runs_dir)
    Queue(running.runs_dir).add(run)
    deadline = time.monotonic() + 120
    while HistoryReader(run).newest_step() is None:
        if time.monotonic() > deadline:
            raise RuntimeError(f"The training did not start: {run.status()}")
        time.sleep(0.2)
    return run
