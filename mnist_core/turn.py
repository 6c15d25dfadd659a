"""The turn of one run: it waits in the queue, obeys commands between batches, and holds on when the disk refuses."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from mnist_core.control import Control, Steps
from mnist_core.errors import LabError, RunError
from mnist_core.queue import Queue, Slot
from mnist_core.runs import STEPPING, Run
from mnist_core.system.files import refusal

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

    def goes_on(self, state: TrainState) -> bool:
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
            if self.goes_on(state):
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
                reason = refusal(error)
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
