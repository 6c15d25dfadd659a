"""control.json in a run's folder: commands, steps and changes, written by pages and shells, read after every batch.

A command holds until the next one. Steps and changes are requested one by one. Each has the moment of its request as
its number, so that none is lost or carried out twice, however quickly they follow each other.
"""

from __future__ import annotations

import errno
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from mnist_core.system.files import read_json, write_json

FILE = "control.json"
COMMANDS = ("run", "pause", "stop")
STEPS = ("batch", "epoch")
_REMEMBERED = 200  # steps and changes; older ones are carried out long ago
_LOCK_SECONDS = 5.0


@dataclass(frozen=True)
class Control:
    """Requests to a run, in order: steps (number, `batch` or `epoch`) and changes (number, {setting: value})."""

    command: str = "run"
    steps: tuple[tuple[int, str], ...] = ()
    changes: tuple[tuple[int, dict[str, Any]], ...] = ()
    reason: str = ""  # of the command, for the run's status; empty where a person gave it


def read_control(folder: Path) -> Control:
    """What is requested of the run in `folder`. Invalid entries are ignored."""
    try:
        value = read_json(folder / FILE)
        command = value["command"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return Control()
    return Control(
        command if command in COMMANDS else "run",
        tuple((number, kind) for number, kind in _numbered(value, "steps") if kind in STEPS),
        tuple((number, wanted) for number, wanted in _numbered(value, "changes") if isinstance(wanted, dict)),
        str(value.get("reason", ""))[:500],
    )


def _numbered(value: dict[str, Any], name: str) -> list[tuple[int, Any]]:
    rows = value.get(name)
    rows = rows if isinstance(rows, list) else []
    return sorted(
        ((row[0], row[1]) for row in rows if isinstance(row, list) and len(row) == 2 and type(row[0]) is int),
        key=lambda row: row[0],
    )


def write_control(
    folder: Path, command: str | None = None, step: str | None = None, change: dict | None = None, reason: str = ""
) -> None:
    """Gives the run in `folder` a command, with its `reason`, or requests a step or a change. Raises OSError.

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
            command, reason, changes = before.command, before.reason, [*changes, (number, change)]
        asked = {"steps": steps[-_REMEMBERED:], "changes": changes[-_REMEMBERED:]}
        why = {"reason": reason} if reason else {}
        write_json(folder / FILE, {"command": command, **why, **{name: rows for name, rows in asked.items() if rows}})
