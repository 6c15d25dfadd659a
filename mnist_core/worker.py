"""The process that executes runs: it takes them from the queue (`start_worker.py` begins it).

A worker outlives a run and waits for the next with everything imported, so that a click is followed by a first step
at once. It ends when its input does and the queue is empty: whoever started it is gone, no training is lost.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from filelock import Timeout

from mnist_core.control import Changes
from mnist_core.errors import LabError
from mnist_core.event_log import EventLog
from mnist_core.queue import Queue, Slot
from mnist_core.runs import Run
from mnist_core.system.device import share_the_cores
from mnist_core.system.files import remove_temporaries
from mnist_core.system.settings import limits
from mnist_core.turn import POLL_SECONDS, LeftUnwrittenError, Turn, log
from mnist_core.warmup import warm_up

RESUME_EVERY_SECONDS = 20.0
WORKERS_FOLDER = ".workers"


def execute(
    run: Run,
    data_dir: Path | str | None = None,
    on_event: Callable[[dict], None] | None = None,
    slot: Slot | None = None,
) -> None:
    """Trains `run` to its end in this process, obeying its commands. What goes wrong is in its status, not raised.

    `on_event` is called with every event after it was written. With a `slot` in hand the run begins at once, otherwise
    it waits for its turn.
    """
    try:
        with run.lock.acquire(timeout=5), Turn(run, slot or Slot(run.folder.parent)) as turn:
            try:
                ending = _execute(run, data_dir, on_event or (lambda event: None), turn)
            except LeftUnwrittenError as error:
                ending = "stopped", str(error), run.checkpoint()
            except LabError as error:
                ending = "failed", str(error), run.checkpoint()
            except Exception as error:
                log(traceback.format_exc())
                reason = f"An error in the lab itself: {type(error).__name__}: {error}"
                ending = "failed", reason, run.checkpoint()
            turn.insist(partial(run.finish, *ending))
    except Timeout:
        return  # another process has this run already
    except (OSError, LeftUnwrittenError) as error:
        log(f"Run {run.id} cannot be written: {error}")


def _execute(
    run: Run, data_dir: Path | str | None, on_event: Callable[[dict], None], turn: Turn
) -> tuple[str, str, Path | None]:
    """→ the state that the run ends in, the reason, and its checkpoint, as `Run.finish` takes them."""
    from mnist_core.data.auxiliary import with_extra
    from mnist_core.data.loading import load_dataset
    from mnist_core.data.splits import arrange
    from mnist_core.results import Results
    from mnist_core.training.loop import train
    from mnist_core.training.resume import can_resume, load_resume, restore, save_resume
    from mnist_core.training.state import TrainState

    config, allowed = run.config(), limits()
    if not turn.insist(turn.wait):
        return "stopped", "Stopped before it began.", None
    turn.insist(partial(run.set_status, "running"))
    remove_temporaries(run.folder, but_of="control.json")  # a command is written by others, perhaps just now
    data = with_extra(arrange(load_dataset(config.dataset, data_dir), config), config)
    state, note = TrainState(config, data), ""
    if can_resume(run.folder):
        saved, note = load_resume(run.folder)
        restore(state, saved)
    with turn.insist(partial(EventLog, run.metrics_path)) as events:

        def emit(event: dict[str, Any]) -> None:
            events.add(event)
            turn.insist(events.flush)
            on_event(event)

        def keep() -> None:
            turn.insist(events.sync)  # the events first: a state without those before it would leave a gap
            turn.insist(partial(save_resume, run.folder, state.state_dict()))

        if events.resumed:
            at = {"step": state.step, "epoch": state.epoch, "checked": state.checked}
            emit({"event": "resume", **at, **({"note": note} if note else {})})
        results, changes = turn.insist(partial(Results, run, data, state)), Changes(run.metrics_path, state)
        saved_at = time.monotonic()
        stopped = False
        for event in train(config, data, state):
            emit(event)
            if event["event"] == "epoch":
                turn.insist(partial(results.save, state, event))
            if event["event"] == "epoch" or time.monotonic() - saved_at > RESUME_EVERY_SECONDS:
                keep()
                saved_at = time.monotonic()
            over = allowed.over_time(state.seconds)
            if over or not turn.goes_on(state):
                keep()
                if over or turn.command() == "stop" or not turn.pause(state):
                    stopped = not state.finished
                    break
                saved_at = time.monotonic()
            for change in changes.obey(turn.control(), state):
                emit(change)

        if stopped:
            turn.insist(partial(results.save, state, {}))
            emit({"event": "end", "reason": "stopped", "step": state.step, "train_seconds": state.seconds})
            return "stopped", over or "Stopped by hand.", results.chosen
        emit({"event": "end", "reason": "completed", "step": state.step, **turn.insist(partial(results.test, state))})
        return "completed", _ending(state), results.chosen


def _ending(state: Any) -> str:
    """Why the training ended before its last epoch, if it did."""
    if not state.stopped_early or state.epoch == state.config.epochs:
        return ""
    return (
        f"Stopped early after epoch {state.epoch}: validation was best in epoch {state.epoch - state.waited} "
        "and has not become better since."
    )


def work(runs_dir: Path, data_dir: Path) -> None:
    """The life of a worker process, until its input ends and nothing waits any more."""
    share_the_cores()
    warm_up(data_dir)
    abandoned = threading.Event()
    threading.Thread(target=_read_to_the_end, args=(abandoned,), daemon=True).start()
    serve(runs_dir, data_dir, abandoned)


def _read_to_the_end(ended: threading.Event) -> None:
    for _ in sys.stdin:
        pass
    ended.set()


def serve(runs_dir: Path, data_dir: Path, abandoned: threading.Event) -> None:
    """Executes what the queue holds, one run after another, until `abandoned` is set and nothing waits any more.

    Meanwhile `runs/.workers/PID` names the run that is being executed.
    """
    queue, slot = Queue(runs_dir), Slot(runs_dir)
    note = runs_dir / WORKERS_FOLDER / str(os.getpid())
    _write_note(note, "")  # a killed worker may have had the same number
    try:
        while True:
            with contextlib.suppress(OSError):  # a disk that refuses now may not do so for ever
                run = queue.next_for_worker()
                if run is None and abandoned.is_set():
                    return
                # the slot first, then the run: while this one waited, another worker may have taken it
                if run is not None and slot.acquire() and (run := queue.next_for_worker()) is not None:
                    _write_note(note, run.id)
                    execute(run, data_dir, slot=slot)
                    _write_note(note, "")
            slot.release()
            time.sleep(POLL_SECONDS)
    finally:
        with contextlib.suppress(OSError):
            note.unlink(missing_ok=True)


def _write_note(note: Path, text: str) -> None:
    with contextlib.suppress(OSError):  # without it another worker may be started early, no more
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(text)
