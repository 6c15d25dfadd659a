"""What a running training is told: `control.json` in its folder, written by pages and shells, read after every batch.

A command holds until the next one. Steps and changes are asked for one by one, each with the moment at which it was
asked as its number, so that none is lost or obeyed twice, however quickly they follow each other.
"""

from __future__ import annotations

import errno
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock

from mnist_core.errors import ConfigError
from mnist_core.system.files import read_json, write_json
from mnist_core.training.changes import check_change, is_change

FILE = "control.json"
COMMANDS = ("run", "pause", "stop")
STEPS = ("batch", "epoch")
_REMEMBERED = 200  # steps and changes asked for; the older ones are long obeyed
_LOCK_SECONDS = 5.0


@dataclass(frozen=True)
class Control:
    """What was asked of a run. Steps are (number, `batch` or `epoch`), changes (number, {setting: value}), in order."""

    command: str = "run"
    steps: tuple[tuple[int, str], ...] = ()
    changes: tuple[tuple[int, dict[str, Any]], ...] = ()


class Position(Protocol):
    """Where a training is (see TrainState)."""

    @property
    def step(self) -> int: ...

    epoch: int

    @property
    def before_batch(self) -> bool: ...


def read_control(folder: Path) -> Control:
    """What is asked of the run in `folder`; what makes no sense is not asked."""
    try:
        value = read_json(folder / FILE)
        command = value["command"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return Control()
    return Control(
        command if command in COMMANDS else "run",
        tuple((number, kind) for number, kind in _numbered(value, "steps") if kind in STEPS),
        tuple((number, wanted) for number, wanted in _numbered(value, "changes") if isinstance(wanted, dict)),
    )


def _numbered(value: dict[str, Any], name: str) -> list[tuple[int, Any]]:
    rows = value.get(name)
    rows = rows if isinstance(rows, list) else []
    return sorted(
        ((row[0], row[1]) for row in rows if isinstance(row, list) and len(row) == 2 and type(row[0]) is int),
        key=lambda row: row[0],
    )


def give(folder: Path, command: str | None = None, step: str | None = None, change: dict | None = None) -> None:
    """Tells the run in `folder` a command, or asks it for a step or a change. Raises OSError.

    A command ends the steps that were asked for; a step is one from a pause to the next.
    """
    if not folder.is_dir():  # the lock would make it
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(folder))
    with FileLock(folder / ".control.lock", timeout=_LOCK_SECONDS):
        before = read_control(folder)
        steps, changes = list(before.steps), list(before.changes)
        number = max([time.time_ns(), *(number + 1 for number, _ in (*steps, *changes))])
        if command is not None:
            steps = []
        if step is not None:
            command, steps = "pause", [*steps, (number, step)]
        if change is not None:
            command, changes = before.command, [*changes, (number, change)]
        asked = {"steps": steps[-_REMEMBERED:], "changes": changes[-_REMEMBERED:]}
        write_json(folder / FILE, {"command": command, **{name: rows for name, rows in asked.items() if rows}})


class Steps:
    """Counts the steps that a run was asked for: each is taken once, in order. Those of an earlier process are void."""

    def __init__(self, control: Control) -> None:
        self._begun = max((number for number, _ in control.steps), default=0)
        self._under_way: tuple[int, str, int, int] | None = None  # number, kind, step and epoch at its beginning

    def asked(self, control: Control) -> bool:
        """Whether there is one that was not begun yet."""
        return any(number > self._begun for number, _ in control.steps)

    def go_on(self, control: Control, at: Position) -> bool:
        """Whether another batch belongs to a step: one under way that is not over, or the next one."""
        if self._under_way is not None:
            number, kind, step, epoch = self._under_way
            over = at.before_batch and (at.epoch > epoch if kind == "epoch" else at.step > step)
            if not over and any(number == listed for listed, _ in control.steps):
                return True
            self._under_way = None
        for number, kind in control.steps:
            if number > self._begun:
                self._begun, self._under_way = number, (number, kind, at.step, at.epoch)
                return True
        return False


class Changes:
    """The changes that a training has yet to obey: those it had obeyed before it was killed, each at its step, and
    those asked for since."""

    def __init__(self, metrics: Path, state: Any) -> None:
        known = {(change["asked"], change["field"]) for change in state.changes}
        recorded = recorded_changes(metrics)
        self._recorded = [event for key, event in recorded.items() if key not in known]
        self._obeyed = max([state.last_change, *(number for number, _ in recorded)])
        self._resumed_at = state.step

    def obey(self, control: Control, state: Any) -> list[dict[str, Any]]:
        """Changes `state` as is due before its next batch. The events to write down."""
        events = []
        for event in [event for event in self._recorded if event["step"] <= state.step]:
            self._recorded.remove(event)
            again = self._change(state, event["asked"], {event["field"]: event["to"]})
            events += again if event["step"] > self._resumed_at else []  # else it is written down already
        for number, wanted in control.changes:
            if number > self._obeyed:
                self._obeyed = number
                events += self._change(state, number, wanted)
        state.last_change = self._obeyed
        return events

    @staticmethod
    def _change(state: Any, number: int, wanted: dict[str, Any]) -> list[dict[str, Any]]:
        try:
            wanted = check_change(state.config, wanted)
        except ConfigError:
            return []  # whoever asked was told; only a file written by hand comes here
        return [state.change(name, value, number) for name, value in wanted.items()]


def recorded_changes(metrics: Path) -> dict[tuple[int, str], dict[str, Any]]:
    """(number, setting) → the change event in a run's metrics.jsonl, those after a point of resumption included."""
    found: dict[tuple[int, str], dict[str, Any]] = {}
    try:
        lines = metrics.read_bytes().splitlines()
    except OSError:
        return found
    for line in lines:
        if b'"change"' not in line:
            continue
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if is_change(event):
            found.setdefault((event["asked"], event["field"]), event)
    return found
