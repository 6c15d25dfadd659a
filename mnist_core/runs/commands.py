"""How the process that executes a run follows its `control.json`: commands, steps and changes of settings."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from mnist_core.errors import ConfigError
from mnist_core.runs.control import FILE, Control
from mnist_core.runs.history import recorded_changes
from mnist_core.runs.run import Run
from mnist_core.training.changes import check_change

if TYPE_CHECKING:
    from mnist_core.training.events import ChangeEvent
    from mnist_core.training.state import TrainState


class Commands:
    """What a run is told, read again only when the file has changed: it is asked after every batch."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._path = run.folder / FILE
        self._control = Control()
        self._steps = Steps(run.control())
        self.version: tuple[int, int] | None = None
        """Changes with the file."""

    @property
    def control(self) -> Control:
        try:
            found = os.stat(self._path)
            version = (found.st_mtime_ns, found.st_ino)
        except OSError:
            return Control()
        if version != self.version:
            self.version, self._control = version, self.run.control()
        return self._control

    @property
    def command(self) -> str:
        """The latest command: run, pause or stop."""
        return self.control.command

    def step_requested(self) -> bool:
        """Whether there is a step that was not begun yet."""
        return self._steps.requested(self.control)

    def allow_batch(self, state: TrainState) -> bool:
        """Whether the next batch may begin: the command is `run`, or the batch belongs to a step."""
        control = self.control
        if control.command == "pause":
            return state.finished or self._steps.allow_batch(control, state)
        return control.command == "run"


class Steps:
    """Counts the steps that were requested of a run: each is taken once, in order. Those of earlier processes lapse."""

    def __init__(self, control: Control) -> None:
        self._begun = max((number for number, _ in control.steps), default=0)
        self._current: tuple[int, str, int, int] | None = None  # number, kind, step and epoch at its beginning

    def requested(self, control: Control) -> bool:
        """Whether there is one that was not begun yet."""
        return any(number > self._begun for number, _ in control.steps)

    def allow_batch(self, control: Control, state: TrainState) -> bool:
        """Whether another batch belongs to a step: the current one, or the next one, which then begins."""
        if self._current is not None:
            number, kind, step, epoch = self._current
            over = state.before_batch and (state.epoch > epoch if kind == "epoch" else state.step > step)
            if not over and any(number == listed for listed, _ in control.steps):
                return True
            self._current = None
        for number, kind in control.steps:
            if number > self._begun:
                self._begun, self._current = number, (number, kind, state.step, state.epoch)
                return True
        return False


class PendingChanges:
    """The changes that a training has yet to make: those recorded after the state it was resumed from, each at its
    step, and those requested since."""

    def __init__(self, run: Run, state: TrainState) -> None:
        made = {(change["asked"], change["field"]) for change in state.changes}
        recorded = recorded_changes(run.metrics_path)
        self._recorded = [event for key, event in recorded.items() if key not in made]
        self._last = max([state.last_change, *(number for number, _ in recorded)])
        self._resumed_at = state.step

    def apply(self, control: Control, state: TrainState) -> list[ChangeEvent]:
        """Changes `state` as is due before its next batch. The events to write down."""
        events: list[ChangeEvent] = []
        for event in [event for event in self._recorded if event["step"] <= state.step]:
            self._recorded.remove(event)
            again = self._change(state, event["asked"], {event["field"]: event["to"]})
            events += again if event["step"] > self._resumed_at else []  # else it is written down already
        for number, wanted in control.changes:
            if number > self._last:
                self._last = number
                events += self._change(state, number, wanted)
        state.last_change = self._last
        return events

    @staticmethod
    def _change(state: TrainState, number: int, wanted: dict[str, Any]) -> list[ChangeEvent]:
        try:
            wanted = check_change(state.config, wanted)
        except ConfigError:
            return []  # whoever requested it was told; only a file written by hand comes here
        return [state.change(name, value, number) for name, value in wanted.items()]
