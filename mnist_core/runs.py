"""A run is a directory: configuration, status, events, checkpoints, and the commands that its process obeys.

Nothing about a run lives only in memory, so any page or shell can find, follow and control it.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mnist_core.checkpoints import CARD
from mnist_core.config import TrainConfig, parse_config
from mnist_core.errors import LabError, RunError
from mnist_core.files import read_json, write_json
from mnist_core.training import Event

ACTIVE = ("queued", "running", "paused")
ENDED = ("stopped", "completed", "failed", "crashed")
COMMANDS = ("run", "pause", "stop")
QUEUE_FOLDER = ".queue"  # in the runs folder: a mark per waiting run (see queue.py)
# between the status "queued" and the mark, and between a mark's removal and the status "running"
QUEUED_GRACE_SECONDS = 10.0
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


@dataclass(frozen=True)
class Status:
    """What a run is doing, with the reason where it needs one. `state` is one of ACTIVE or ENDED."""

    state: str
    reason: str = ""
    updated: float = 0.0  # seconds since 1970

    @property
    def active(self) -> bool:
        return self.state in ACTIVE


def runs_folder() -> Path:
    """Where runs are kept: MNIST_LAB_RUNS, or ./runs."""
    return Path(os.environ.get("MNIST_LAB_RUNS") or "runs")


@dataclass(frozen=True)
class Run:
    """A handle on one run's directory. Cheap to make; holds no state of its own."""

    folder: Path

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def config_path(self) -> Path:
        return self.folder / "config.json"

    @property
    def resume_path(self) -> Path:
        return self.folder / "resume.pt"

    @property
    def lock(self) -> FileLock:
        """Held by the process that executes the run, for as long as it lives."""
        return FileLock(self.folder / ".worker.lock")

    def config(self) -> TrainConfig:
        """Raises RunError when the run's configuration is missing or damaged."""
        try:
            return parse_config(read_json(self.config_path))
        except (OSError, ValueError) as error:
            reason = str(error) if isinstance(error, LabError) else "it cannot be read"
            raise RunError(f"The configuration of run {self.id} is damaged: {reason}") from None

    def status(self) -> Status:
        """The state as written, but `crashed` where its process is gone without having said so."""
        status = self._written_status()
        if self._abandoned(status) and not self.is_executed():
            status = self._written_status()  # it may have ended between the two looks
            if self._abandoned(status):
                return Status("crashed", "Its process ended without a word: killed, or the machine went down.")
        return status

    def _abandoned(self, status: Status) -> bool:
        """Whether a run of this status without a process is lost. One in the queue may wait as long as it takes."""
        if status.state != "queued":
            return status.active
        waiting = any((self.folder.parent / QUEUE_FOLDER).glob(f"*-{self.id}"))
        return not waiting and time.time() - status.updated > QUEUED_GRACE_SECONDS

    def _written_status(self) -> Status:
        try:
            value = read_json(self.folder / "status.json")
            status = Status(value["state"], str(value.get("reason", "")), float(value.get("updated", 0)))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return Status("crashed", "Its status file is missing or damaged.")
        return status if status.state in ACTIVE + ENDED else Status("crashed", "Its status file is damaged.")

    def is_executed(self) -> bool:
        """Whether a living process has this run."""
        try:
            with self.lock.acquire(timeout=0):
                return False
        except Timeout:
            return True
        except OSError:
            return True  # a folder that cannot be written cannot be asked; believe what the status says

    def set_status(self, state: str, reason: str = "") -> None:
        """Raises OSError."""
        write_json(self.folder / "status.json", {"state": state, "reason": reason, "updated": time.time()})

    def command(self, command: str) -> None:
        """Tells the run's process to `run`, `pause` or `stop`; obeyed at the next batch. Raises RunError."""
        if command not in COMMANDS:
            raise RunError(f"A run can be told to {', '.join(COMMANDS)}, not '{command}'.")
        try:
            write_json(self.folder / "control.json", {"command": command})
        except OSError as error:
            raise RunError(f"Run {self.id} cannot be told to {command}: {error.strerror}.") from None

    def commanded(self) -> str:
        """The latest command; `run` when there is none."""
        try:
            command = read_json(self.folder / "control.json")["command"]
        except (OSError, ValueError, KeyError, TypeError):
            return "run"
        return command if command in COMMANDS else "run"

    def checkpoint(self) -> Path | None:
        """The folder of the checkpoint the run ended on (or the newest one so far), or None."""
        try:
            chosen = read_json(self.folder / "status.json").get("checkpoint")
        except (OSError, ValueError, AttributeError):
            chosen = None
        done = sorted(self.folder.glob(f"checkpoints/epoch-*/{CARD}"))
        named = [card for card in done if card.parent.name == chosen]
        return (named or done or [None])[-1].parent if done else None

    def finish(self, state: str, reason: str = "", checkpoint: Path | None = None) -> None:
        """Writes the final status and which checkpoint is the run's result. Raises OSError."""
        chosen = checkpoint.name if checkpoint else None
        value = {"state": state, "reason": reason, "updated": time.time(), "checkpoint": chosen}
        write_json(self.folder / "status.json", value)


@dataclass
class EventReader:
    """Follows a run's metrics.jsonl: each call of `read` parses only what was added since."""

    run: Run
    events: list[Event] = field(default_factory=list)
    _offset: int = 0

    def read(self) -> list[Event]:
        """All events so far. A torn last line is left for the next call; a damaged one is skipped.

        After a resume the events behind the point of resumption are dropped: they happened again.
        """
        try:
            with (self.run.folder / "metrics.jsonl").open("rb") as file:
                file.seek(self._offset)
                added = file.read()
        except OSError:
            return self.events
        complete = added[: added.rfind(b"\n") + 1]
        self._offset += len(complete)
        for line in complete.splitlines():
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if not isinstance(event, dict) or "event" not in event or not isinstance(event.get("step", 0), int | float):
                continue
            if event["event"] == "resume":
                step = event.get("step", 0)
                self.events[:] = [e for e in self.events if e.get("step", 0) <= step and e["event"] != "end"]
            self.events.append(event)
        return self.events


def column(events: Iterable[Event], kind: str, *names: str) -> list[list[Any]]:
    """The values of `names` over all events of `kind` that have them all: one list per name."""
    rows = [event for event in events if event["event"] == kind and event.keys() >= set(names)]
    return [[event[name] for event in rows] for name in names]


@dataclass(frozen=True)
class Curves:
    """A run's measurements over its course, x in epochs (fractional within one). Losses in nats, accuracies in [0, 1].

    `loss` and `accuracy` are of each training batch; `val_loss` and `val_accuracy` of the held-out images at `val_x`.
    """

    x: list[float]
    loss: list[float]
    accuracy: list[float]
    val_x: list[float]
    val_loss: list[float]
    val_accuracy: list[float]


def curves(events: list[Event]) -> Curves:
    """A run's events → its curves; empty where nothing was measured yet."""
    per_epoch = max((event.get("steps_per_epoch", 1) for event in events if event["event"] == "start"), default=1)
    steps, loss, accuracy = column(events, "step", "step", "loss", "accuracy")
    checks = [{**event, "event": "check"} for event in events if event["event"] in ("validation", "epoch")]
    val_steps, val_loss, val_accuracy = column(checks, "check", "step", "val_loss", "val_accuracy")
    return Curves(
        [step / per_epoch for step in steps],
        loss,
        accuracy,
        [step / per_epoch for step in val_steps],
        val_loss,
        val_accuracy,
    )


def create_run(config: TrainConfig, runs_dir: Path | str | None = None) -> Run:
    """A new directory with `config`, status `queued`. Raises RunError when it cannot be written."""
    root = Path(runs_dir if runs_dir is not None else runs_folder())
    name = re.sub(r"[^A-Za-z0-9]+", "-", config.recipe).strip("-")[:40] or "run"
    run = Run(root / f"{time.strftime('%Y%m%d-%H%M%S')}-{name}-{secrets.token_hex(2)}")
    try:
        (run.folder / "checkpoints").mkdir(parents=True)
        write_json(run.config_path, config.model_dump(mode="json"))
        run.set_status("queued")
    except OSError as error:
        raise RunError(
            f"The run cannot be written to {root.resolve()} ({error.strerror}). "
            "Make the folder writable or set MNIST_LAB_RUNS to one that is."
        ) from None
    return run


def open_run(run_id: str, runs_dir: Path | str | None = None) -> Run:
    """The run called `run_id`. Raises RunError; a name that is no plain run name never becomes a path."""
    root = Path(runs_dir if runs_dir is not None else runs_folder())
    if not _ID.fullmatch(run_id) or not (root / run_id / "config.json").is_file():
        raise RunError(f"There is no run '{run_id[:100]}' in {root.resolve()}.")
    return Run(root / run_id)


def list_runs(runs_dir: Path | str | None = None) -> list[Run]:
    """All runs, the newest first. An unreadable or missing folder has none."""
    root = Path(runs_dir if runs_dir is not None else runs_folder())
    try:
        names = sorted((entry.name for entry in os.scandir(root) if entry.is_dir()), reverse=True)
    except OSError:
        return []
    return [Run(root / name) for name in names if _ID.fullmatch(name) and (root / name / "config.json").is_file()]
