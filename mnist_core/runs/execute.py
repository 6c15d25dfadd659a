"""execute(run): trains a run to its end in this process: load, loop, append, save.

With several processes this is process 0, the only one that writes; the others `follow`.
"""

from __future__ import annotations

import contextlib
import time
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from filelock import Timeout

from mnist_core.errors import LabError, ProcessesError, RunError
from mnist_core.runs.commands import Commands, PendingChanges
from mnist_core.runs.follow import STOP, prepared
from mnist_core.runs.history import end_event
from mnist_core.runs.queue import Queue, Slot
from mnist_core.runs.run import META, Run
from mnist_core.runs.weight_snapshots import snapshot_due
from mnist_core.runs.writer import POLL_SECONDS, RunWriter, UnwrittenError, log
from mnist_core.system.files import remove_temporaries
from mnist_core.system.processes import Group
from mnist_core.system.settings import limits

if TYPE_CHECKING:
    from mnist_core.data.dataset import Dataset
    from mnist_core.training.events import Event
    from mnist_core.training.state import TrainState

RESUME_EVERY_SECONDS = 20.0


class Ending(NamedTuple):
    """How a run ends, as `Run.finish` takes it."""

    state: str
    reason: str
    checkpoint: Path | None


def execute(
    run: Run,
    data_dir: Path | str | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
    slot: Slot | None = None,
    group: Group | None = None,
) -> None:
    """Trains `run` to its end in this process, obeying its commands. What goes wrong is in its status, not raised.

    `on_event` is called with every event after it was written. With a `slot` in hand the run begins at once, otherwise
    it waits for one. The other processes of a `group` train along.
    """
    group = group or Group()
    group.on_lost = partial(_crash, run)
    try:
        with run.lock.acquire(timeout=5), _Place(run, slot or Slot(run.folder.parent)) as place:
            # under the lock: what an earlier process left is settled by the one process that has the run
            writer = RunWriter(Commands(run), on_event)
            try:
                ending = _train(writer, place, data_dir, group)
            except ProcessesError as error:  # as if this one had been killed: it goes on from the last saved state
                ending = Ending("crashed", str(error), run.checkpoint())
            except UnwrittenError as error:
                ending = Ending("stopped", str(error), run.checkpoint())
            except LabError as error:
                ending = Ending("failed", str(error), run.checkpoint())
            except Exception as error:
                log(traceback.format_exc())
                reason = f"An error in the lab itself: {type(error).__name__}: {error}"
                ending = Ending("failed", reason, run.checkpoint())
            writer.finish(*ending)
    except Timeout:
        return  # another process has this run already
    except (OSError, UnwrittenError) as error:
        log(f"Run {run.id} cannot be written: {error}")


def _crash(run: Run, reason: str) -> None:
    with contextlib.suppress(OSError):  # without it the status is the same, as its process is gone
        run.finish("crashed", reason, run.checkpoint())


def _train(writer: RunWriter, place: _Place, data_dir: Path | str | None, group: Group) -> Ending:
    # torch is loaded here: the process that executes a run has said before which cores its threads get
    from mnist_core.training.loop import DivergedError
    from mnist_core.training.resume import saved_state

    run, commands = writer.run, writer.commands
    if not writer.insist(partial(place.wait, commands)):
        return Ending("stopped", "Stopped before it began.", None)
    writer.set_status("running")
    # commands and pins are written by others, perhaps just now
    remove_temporaries(run.folder, but_of=("control.json", META))
    config, (saved, note) = run.config(), saved_state(run.folder)
    group.broadcast((config.model_dump(), saved))
    data, state = prepared(config, saved, data_dir, group)
    changes = PendingChanges(run, state)
    with contextlib.closing(writer):
        writer.open(data, state, note)
        try:
            return _follow(writer, place, state, changes, data)
        except DivergedError as error:
            return _diverged(writer, state, str(error))


def _follow(writer: RunWriter, place: _Place, state: TrainState, changes: PendingChanges, data: Dataset) -> Ending:
    """Trains and writes what is measured, until the last epoch or a command to stop."""
    from mnist_core.training.loop import train

    commands, allowed = writer.commands, limits()
    for event in train(state, data):
        writer.append(event)
        if event["event"] == "epoch":
            writer.save_checkpoint(state, event)
        if state.config.snapshots and snapshot_due(event):
            writer.save_snapshot(state)
        if event["event"] == "step":
            writer.look(state)  # now, as the gradients of this step are still there
        if event["event"] == "epoch" or writer.state_age > RESUME_EVERY_SECONDS:
            writer.save_state(state)
        over_time = allowed.over_time(state.seconds)
        if over_time or not commands.allow_batch(state):
            writer.save_state(state)
            if (over_time or not _paused(writer, place, state)) and not state.finished:
                state.group.broadcast(STOP)
                return _stop(writer, state, data, over_time or commands.control.reason or "Stopped by hand.")
        made = len(state.changes)
        for change in changes.apply(commands.control, state):
            writer.append(change)
        state.group.broadcast(state.changes[made:] or None)
    return _complete(writer, state, data)


def _paused(writer: RunWriter, place: _Place, state: TrainState) -> bool:
    """Waits out a pause. True when told to go on or to take a step, and there is a slot; False when told to stop."""
    commands = writer.commands
    if commands.command == "stop":
        return False
    writer.set_status("paused")
    while True:
        place.release()
        while commands.command == "pause" and not commands.step_requested():
            writer.look(state)
            time.sleep(POLL_SECONDS)
        if not writer.insist(partial(place.wait, commands, first=True)):
            return False
        if commands.allow_batch(state):
            writer.set_status("running", stepping=commands.command == "pause")
            return True


def _stop(writer: RunWriter, state: TrainState, data: Dataset, reason: str) -> Ending:
    from mnist_core.training.diagnosis import diagnosed

    writer.save_checkpoint(state)
    _end(writer, "stopped", state, diagnosed(state, data, {}, stopped=True))
    return Ending("stopped", reason, writer.checkpoint)


def _diverged(writer: RunWriter, state: TrainState, reason: str) -> Ending:
    from mnist_core.training.diagnosis import diagnose_divergence, recipe_rate

    rate = state.optimizer.param_groups[0]["lr"]
    _end(writer, "failed", state, diagnose_divergence(state.config, rate, recipe_rate(state.config)))
    return Ending("failed", reason, writer.run.checkpoint())


def _complete(writer: RunWriter, state: TrainState, data: Dataset) -> Ending:
    from mnist_core.training.diagnosis import diagnosed

    trial = writer.run.trial
    metrics = writer.evaluate_on_test() if trial is None else writer.metrics()
    _end(writer, "completed", state, diagnosed(state, data, metrics), metrics)
    reason = "" if trial is None else f"A trial of the search {trial[0]}: judged on validation, the test images unread."
    if state.stopped_early and state.epoch < state.config.epochs:
        best = state.epoch - state.early_stopping.epochs_without_improvement
        early = f"Stopped early after epoch {state.epoch}: validation was best in epoch {best}, and no better since."
        reason = f"{early} {reason}".strip()
    return Ending("completed", reason, writer.checkpoint)


def _end(
    writer: RunWriter, reason: str, state: TrainState, diagnosis: str, metrics: Mapping[str, float] | None = None
) -> None:
    event = end_event(reason, state.step, state.seconds, metrics)
    if diagnosis:
        event["diagnosis"] = diagnosis
        log(f"Run {writer.run.id}: {diagnosis}")  # on the command line too
    writer.append(event)


class _Place:
    """The run's place in the queue, and then its slot; while it is paused others may have the slot."""

    def __init__(self, run: Run, slot: Slot) -> None:
        self._run, self._slot, self._queue = run, slot, Queue(run.folder.parent)
        self.release = slot.release

    def __enter__(self) -> _Place:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # an entry without a process is removed by whoever finds it
            self._queue.remove(self._run)
        self._slot.release()

    def wait(self, commands: Commands, first: bool = False) -> bool:
        """Waits for a slot, at the queue's end or front. False when told to stop meanwhile. Raises OSError."""
        self._queue.remove(self._run)  # from here on it is this process that waits
        if not self._slot.held:
            with contextlib.suppress(RunError):  # where that cannot be written it waits without a place
                self._queue.add(self._run, own_process=True, first=first)
        while commands.command != "stop":
            if self._slot.held or (self._queue.may_begin(self._run) and self._slot.acquire()):
                self._queue.remove(self._run)
                return True
            time.sleep(POLL_SECONDS)
        return False
