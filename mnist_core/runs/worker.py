"""The process that executes runs: it takes them from the queue (`python -m mnist_core.runs` begins it).

A worker outlives a run and waits for the next with everything imported, so that a click is followed by a first step
at once; meanwhile it computes what pages ask for (calls.py). It ends when its input does and the queue is empty: the
process that started it is gone, and no run is lost.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from pathlib import Path

from mnist_core.errors import LabError
from mnist_core.runs.calls import answer_calls
from mnist_core.runs.execute import execute
from mnist_core.runs.queue import Queue, Slot
from mnist_core.runs.writer import POLL_SECONDS
from mnist_core.system.device import divide_cores

WORKERS_FOLDER = ".workers"


def work(runs_dir: Path, data_dir: Path) -> None:
    """Runs a worker process until its input ends and no run waits."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what is printed goes to the log
    divide_cores()
    warm_up(data_dir)
    abandoned, idle = threading.Event(), threading.Lock()

    def listen() -> None:
        answer_calls(sys.stdin.buffer, answers, idle)
        abandoned.set()

    threading.Thread(target=listen, daemon=True).start()
    serve(runs_dir, data_dir, abandoned, idle)


def serve(runs_dir: Path, data_dir: Path, abandoned: threading.Event, idle: threading.Lock) -> None:
    """Executes the runs of the queue, one after another, until `abandoned` is set and no run waits.

    Meanwhile `runs/.workers/PID` names the run that is being executed, and `idle` is held: a call in between (see
    calls.py) would change torch's random state and number of threads.
    """
    queue, slot = Queue(runs_dir), Slot(runs_dir)
    note = runs_dir / WORKERS_FOLDER / str(os.getpid())
    _write_note(note, "")  # a killed worker may have had the same number
    try:
        while True:
            with contextlib.suppress(OSError):  # the disk may accept the next write
                run = queue.next_for_worker()
                if run is None and abandoned.is_set():
                    return
                # the slot first, then the run: while this one waited, another worker may have taken it
                if run is not None and slot.acquire() and (run := queue.next_for_worker()) is not None:
                    with idle:
                        _write_note(note, run.id)
                        execute(run, data_dir, slot=slot)
                        _write_note(note, "")
            slot.release()
            time.sleep(POLL_SECONDS)
    finally:
        with contextlib.suppress(OSError):
            note.unlink(missing_ok=True)


def _write_note(note: Path, text: str) -> None:
    with contextlib.suppress(OSError):  # without it another worker may be started early
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(text)


def warm_up(data_dir: Path) -> None:
    """Loads imports, the dataset and each kernel before a run needs them."""
    from mnist_core.data.loading import default_dataset, load_dataset
    from mnist_core.recipes import RECIPES
    from mnist_core.training.loop import train
    from mnist_core.training.state import TrainState

    try:
        data = load_dataset(default_dataset(data_dir), data_dir)
        config = RECIPES["quick"].config(data.name)
        steps = train(TrainState(config, data), data)
        for _ in range(3):
            next(steps)
    except LabError:
        pass  # a damaged dataset is reported by the run that asks for it
