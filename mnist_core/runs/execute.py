"""Executing one run in this process: it waits for a slot, obeys commands between batches, and holds on when the disk
refuses.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from filelock import Timeout

from mnist_core.errors import LabError, RunError
from mnist_core.runs.control import Changes, Control, Steps
from mnist_core.runs.history import EventLog
from mnist_core.runs.queue import Queue, Slot
from mnist_core.runs.run import STEPPING, Run
from mnist_core.system.files import disk_error_sentence, remove_temporaries
from mnist_core.system.settings import limits

if TYPE_CHECKING:
    from mnist_core.training.state import TrainState

POLL_SECONDS = 0.05
T = TypeVar("T")


def log(line: str) -> None:
    """Writes to stderr what no status may be able to say."""
    with contextlib.suppress(OSError):  # the log may lie on the disk that is full
        print(line, file=sys.stderr, flush=True)


class LeftUnwrittenError(LabError):
    """The run was told to stop while the disk refused its files."""


class Turn:
    """The run's turn to train: it waits in the queue for a slot; while paused it lets others pass."""

    def __init__(self, run: Run, slot: Slot) -> None:
        self.run, self._slot = run, slot
        self._queue = Queue(run.folder.parent)
        self._control = run.folder / "control.json"
        self._seen: tuple[int, int] | None = None
        self._told = Control()
        self._steps = Steps(run.control())

    def __enter__(self) -> Turn:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # a mark without a process is dropped by whoever finds it
            self._queue.remove(self.run)
        self._slot.release()

    def control(self) -> Control:
        """What is asked of the run, read only when the file has changed: this is asked after every batch."""
        try:
            found = os.stat(self._control)
            stamp = (found.st_mtime_ns, found.st_ino)
        except OSError:
            return Control()
        if stamp != self._seen:
            self._seen, self._told = stamp, self.run.control()
        return self._told

    def command(self) -> str:
        """The latest command."""
        return self.control().command

    def continues(self, state: TrainState) -> bool:
        """Whether the next batch may begin: nobody asked otherwise, or it belongs to a step, or there is none."""
        control = self.control()
        if control.command == "pause":
            return state.finished or self._steps.go_on(control, state)
        return control.command == "run"

    def wait(self, first: bool = False) -> bool:
        """Waits for the turn, at the end of the queue or at its front. False when told to stop meanwhile."""
        self._queue.remove(self.run)  # from here on it is this process that waits
        if not self._slot.held:
            with contextlib.suppress(RunError):  # where that cannot be written it waits without a place
                self._queue.add(self.run, own_process=True, first=first)
        while self.command() != "stop":
            if self._slot.held or (self._queue.may_begin(self.run) and self._slot.acquire()):
                self._queue.remove(self.run)
                return True
            time.sleep(POLL_SECONDS)
        return False

    def pause(self, state: TrainState) -> bool:
        """Waits until told to run again, or to take a step, and it is the run's turn. False when told to stop."""
        self.insist(partial(self.run.set_status, "paused"))
        while True:
            self._slot.release()
            while self.command() == "pause" and not self._steps.asked(self.control()):
                time.sleep(POLL_SECONDS)
            if not self.insist(partial(self.wait, first=True)):
                return False
            if self.continues(state):
                reason = STEPPING if self.command() == "pause" else ""
                self.insist(partial(self.run.set_status, "running", reason))
                return True

    def insist(self, write: Callable[[], T]) -> T:
        """`write()`. Where the disk refuses, the run pauses with all it has, and tries again when told to go on.

        Raises LeftUnwrittenError when told to stop and the disk still refuses.
        """
        while True:
            try:
                return write()
            except OSError as error:
                reason = disk_error_sentence(error)
            self._hold(f"{reason} and press Resume: nothing is lost.")
            if self.command() == "stop":
                with contextlib.suppress(OSError):
                    return write()
                raise LeftUnwrittenError(f"Stopped by hand. {reason}, to go on from the last state that was saved.")
            self.insist(partial(self.run.set_status, "running"))

    def _hold(self, reason: str) -> None:
        """Waits for a new command, and says why as soon as that can be written.

        The slot is kept: another run would meet the same disk.
        """
        log(f"Run {self.run.id} is paused. {reason}")
        self.command()
        before, said, tried = self._seen, False, 0.0
        while self.command() == "pause" or self._seen == before:
            if not said and time.monotonic() - tried > 1:
                tried = time.monotonic()
                with contextlib.suppress(OSError):
                    self.run.set_status("paused", reason)
                    said = True
            time.sleep(POLL_SECONDS)


RESUME_EVERY_SECONDS = 20.0


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
    from mnist_core.runs.checkpointing import RunCheckpoints
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
        results, changes = turn.insist(partial(RunCheckpoints, run, data, state)), Changes(run.metrics_path, state)
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
            if over or not turn.continues(state):
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
    best = state.epoch - state.epochs_without_improvement
    return (
        f"Stopped early after epoch {state.epoch}: validation was best in epoch {best} and has not become better since."
    )
