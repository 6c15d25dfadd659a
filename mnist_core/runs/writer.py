"""RunWriter: what a run leaves on disk while it is executed: status, events, resume state, checkpoints."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mnist_core.errors import LabError
from mnist_core.runs.commands import Commands
from mnist_core.runs.history import EventLog
from mnist_core.runs.weight_snapshots import remove_later
from mnist_core.system.files import disk_error_sentence

if TYPE_CHECKING:
    from mnist_core.data.dataset import Dataset
    from mnist_core.training.events import EpochEvent, Event, ResumeEvent
    from mnist_core.training.state import TrainState

POLL_SECONDS = 0.05
T = TypeVar("T")


def log(line: str) -> None:
    """Writes to stderr what no status may be able to say."""
    with contextlib.suppress(OSError):  # the log may lie on the disk that is full
        print(line, file=sys.stderr, flush=True)


class UnwrittenError(LabError):
    """The run was told to stop while the disk refused its files."""


class RunWriter:
    """Writes what belongs to a run. Where the disk refuses, the run pauses with all it has, and the write is tried
    again when the run is told to go on: whoever calls a method finds it done.

    Each method raises UnwrittenError when the run is told to stop and the disk still refuses.
    """

    def __init__(self, commands: Commands, on_event: Callable[[Event], None]) -> None:
        self.run, self.commands = commands.run, commands
        self._on_event = on_event
        self._files = contextlib.ExitStack()
        self._saved_at = time.monotonic()

    def open(self, data: Dataset, state: TrainState, note: str = "") -> None:
        """Opens the event log and the checkpoints. A log with events gets a `resume` event, with `note`."""
        from mnist_core.runs.checkpointing import RunCheckpoints
        from mnist_core.runs.looks import Looks

        self._log = self._files.enter_context(self.insist(partial(EventLog, self.run.metrics_path)))
        if self._log.resumed:
            resume: ResumeEvent = {
                "event": "resume",
                "step": state.step,
                "epoch": state.epoch,
                "checked": state.checked,
            }
            self.append({**resume, "note": note} if note else resume)
        self._checkpoints = self.insist(partial(RunCheckpoints, self.run, data, state))
        self.insist(partial(remove_later, self.run, state.step))  # those steps are taken again
        self._looks = self._files.enter_context(Looks(self.run, data, state, self._checkpoints.described))

    def close(self) -> None:
        """Closes what `open` opened."""
        self._files.close()

    @property
    def checkpoint(self) -> Path | None:
        """The folder of the checkpoint that is the run's result so far."""
        return self._checkpoints.chosen

    @property
    def state_age(self) -> float:
        """Seconds since the state was saved, or since the beginning."""
        return time.monotonic() - self._saved_at

    def set_status(self, state: str, stepping: bool = False) -> None:
        self.insist(partial(self.run.set_status, state, stepping=stepping))

    def append(self, event: Event) -> None:
        """Writes an event to the log."""
        self._log.add(event)
        self.insist(self._log.flush)
        self._on_event(event)

    def save_state(self, state: TrainState) -> None:
        """Saves what the training is resumed from."""
        from mnist_core.training.resume import save_resume

        self.insist(self._log.sync)  # the events first: a state without those before it would leave a gap
        self.insist(partial(save_resume, self.run.folder, state.state_dict()))
        self._saved_at = time.monotonic()

    def save_checkpoint(self, state: TrainState, event: EpochEvent | None = None) -> None:
        """Saves the weights, with the metrics of the epoch that `event` reports."""
        self.insist(partial(self._checkpoints.save, state, event))

    def save_snapshot(self, state: TrainState) -> None:
        """Saves the weights of this step for Replay."""
        self.insist(partial(self._checkpoints.save_snapshot, state))

    def look(self, state: TrainState) -> None:
        """Writes what the network is just now, where somebody watches; at most once a second."""
        self._looks.take(state)

    def evaluate_on_test(self) -> dict[str, float]:
        """The one look at the test images, by the checkpoint that is the run's result; its metrics."""
        return self.insist(self._checkpoints.evaluate_on_test)

    def metrics(self) -> dict[str, float]:
        """Those of the checkpoint that is the run's result, without a look at the test images."""
        return self._checkpoints.metrics()

    def finish(self, state: str, reason: str, checkpoint: Path | None) -> None:
        """Writes the final status."""
        self.insist(partial(self.run.finish, state, reason, checkpoint))

    def insist(self, write: Callable[[], T]) -> T:
        """The result of `write()`, tried until the disk takes it."""
        while True:
            try:
                return write()
            except OSError as error:
                reason = disk_error_sentence(error)
            self._wait(f"{reason} and press Resume: nothing is lost.")
            if self.commands.command == "stop":
                with contextlib.suppress(OSError):
                    return write()
                raise UnwrittenError(f"Stopped by hand. {reason}, to go on from the last state that was saved.")
            self.set_status("running")

    def _wait(self, reason: str) -> None:
        """Waits for a new command, and says why as soon as that can be written.

        The slot is kept: another run would meet the same disk.
        """
        log(f"Run {self.run.id} is paused. {reason}")
        _ = self.commands.control
        before, written, tried = self.commands.version, False, 0.0
        while self.commands.command == "pause" or self.commands.version == before:
            if not written and time.monotonic() - tried > 1:
                tried = time.monotonic()
                with contextlib.suppress(OSError):
                    self.run.set_status("paused", reason)
                    written = True
            time.sleep(POLL_SECONDS)
