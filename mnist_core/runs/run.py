"""A run is a folder: configuration, status, events, checkpoints, and the commands to its process.

Nothing about a run lives only in memory, so any page or shell can find, follow and control it.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mnist_core.config import TrainConfig, parse_stored_config
from mnist_core.errors import ConfigError, LabError, RunError
from mnist_core.models.architectures import has_dropout
from mnist_core.models.checkpoint import CARD, is_whole
from mnist_core.runs.control import COMMANDS, STEPS, Control, read_control, write_control
from mnist_core.system.files import read_json, write_json
from mnist_core.system.settings import runs_folder
from mnist_core.training.changes import check_change

ACTIVE = ("queued", "running", "paused")
ENDED = ("stopped", "completed", "failed", "crashed")
WAITING = "waiting.json"  # in the folder of a run that waits for a process or a slot (see queue.py)
META = "meta.json"  # the run's owner, and whether it is pinned
TRIAL = "trial.json"  # in the folder of a trial of a search (see experiments/search.py)
# between the status "queued" and the file WAITING, and between its removal and the status "running"
QUEUED_GRACE_SECONDS = 10.0
MOST_LETTERS = 30
# nothing that markdown, HTML or a path would take for its own
_NAME = re.compile(rf"[^\W_][\w .'’-]{{0,{MOST_LETTERS - 1}}}")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


@dataclass(frozen=True)
class Status:
    """What a run is doing, with the reason where it needs one. `state` is one of ACTIVE or ENDED."""

    state: str
    reason: str = ""
    updated: float = 0.0  # seconds since 1970
    stepping: bool = False  # a `running` that takes a batch or an epoch and pauses again

    @property
    def active(self) -> bool:
        return self.state in ACTIVE


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
    def metrics_path(self) -> Path:
        return self.folder / "metrics.jsonl"

    @property
    def owner(self) -> str:
        """The name that its creator gave; empty where none was given, or the file is damaged."""
        return self._meta()[0]

    @property
    def pinned(self) -> bool:
        """Whether somebody wants this run kept: it is not deleted, nor offered for deletion."""
        return self._meta()[1]

    def pin(self, keep: bool = True) -> None:
        """Keeps the run from deletion, or no longer. Raises RunError."""
        try:
            write_json(self.folder / META, {"owner": self.owner, "pinned": keep})
        except OSError as error:
            raise RunError(f"Run {self.id} cannot be {'' if keep else 'un'}pinned ({error.strerror}).") from None

    def _meta(self) -> tuple[str, bool]:
        try:
            value = read_json(self.folder / META)
            return parse_owner(value["owner"]), value["pinned"] is True
        except FileNotFoundError:  # earlier versions had a file for each
            return _first_owner(self.folder), (self.folder / "pinned").exists()
        except (LabError, OSError, ValueError, KeyError, TypeError, AttributeError):
            return "", False

    @property
    def trial(self) -> tuple[str, int] | None:
        """The search whose trial this run is, and the trial's number; None for every other run."""
        try:
            value = read_json(self.folder / TRIAL)
            return str(value["search"]), int(value["number"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @property
    def lock(self) -> FileLock:
        """Held by the process that executes the run, for as long as it lives."""
        return FileLock(self.folder / ".worker.lock")

    def config(self) -> TrainConfig:
        """Raises RunError when the run's configuration is missing or damaged."""
        try:
            return parse_stored_config(read_json(self.config_path))
        except LabError as error:
            raise RunError(f"The configuration of run {self.id} is damaged: {error}") from None
        except (OSError, ValueError):
            raise RunError(f"The configuration of run {self.id} is damaged: it cannot be read") from None

    def status(self) -> Status:
        """The state as written, but `crashed` where the process has ended without writing one."""
        status = self._written_status()
        if self._abandoned(status) and not self.is_executed():
            status = self._written_status()  # it may have ended between the two looks
            if self._abandoned(status):
                return Status(
                    "crashed", "Its process ended without a final status: it was killed, or the machine went down."
                )
        return status

    def _abandoned(self, status: Status) -> bool:
        """Whether a run of this status without a process is lost. A run in the queue may wait for any time."""
        if status.state != "queued":
            return status.active
        waiting = (self.folder / WAITING).exists()
        return not waiting and time.time() - status.updated > QUEUED_GRACE_SECONDS

    def _written_status(self) -> Status:
        try:
            value = read_json(self.folder / "status.json")
            reason = str(value.get("reason", ""))[:1000].encode(errors="replace").decode()
            status = Status(value["state"], reason, float(value.get("updated", 0)), value.get("stepping") is True)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
            return Status("crashed", "Its status file is missing or damaged.")
        return status if status.state in ACTIVE + ENDED else Status("crashed", "Its status file is damaged.")

    def is_executed(self) -> bool:
        """Whether a living process executes this run."""
        try:
            with self.lock.acquire(timeout=0):
                return False
        except Timeout:
            return True
        except OSError:
            return True  # the lock of a read-only folder cannot be tested: the status counts

    def set_status(self, state: str, reason: str = "", stepping: bool = False) -> None:
        """Raises OSError."""
        value = {"state": state, "reason": reason, "updated": time.time()}
        write_json(self.folder / "status.json", {**value, **({"stepping": True} if stepping else {})})

    def command(self, command: str, reason: str = "") -> None:
        """Tells the run's process to `run`, `pause` or `stop` before its next batch. Raises RunError.

        The `reason` of a stop becomes that of the run's status.
        """
        if command not in COMMANDS:
            raise RunError(f"A run can be told to {', '.join(COMMANDS)}, not '{command}'.")
        self._tell(command, command=command, reason=reason)

    def step(self, kind: str = "batch") -> None:
        """Requests one `batch`, or the rest of the `epoch`, and a pause after it. Raises RunError."""
        if kind not in STEPS:
            raise RunError(f"A step is one {' or one '.join(STEPS)}, not '{kind}'.")
        self._tell("step", step=kind)

    def change(self, **wanted: Any) -> None:
        """Requests other values of settings from the next batch on. Raises ConfigError or RunError."""
        if not self._written_status().active:
            raise RunError(f"Run {self.id} has ended: its settings cannot be changed any more.")
        check_change(self.config(), wanted)
        if "dropout" in wanted and not has_dropout(self.config().model):
            raise ConfigError(f"The network {self.config().model} has no dropout layer: its dropout cannot be changed.")
        self._tell("change", change=wanted)

    def _tell(self, what: str, **order: Any) -> None:
        try:
            write_control(self.folder, **order)
        except OSError as error:
            raise RunError(f"Run {self.id} cannot be told to {what}: {error.strerror or error}.") from None

    def control(self) -> Control:
        """What is requested of the run."""
        return read_control(self.folder)

    def checkpoints(self) -> list[Path]:
        """The folders of the checkpoints that were written to their end, the first epoch's first."""
        return [card.parent for card in sorted(self.folder.glob(f"checkpoints/epoch-*/{CARD}"))]

    def checkpoint(self) -> Path | None:
        """The folder of the checkpoint the run ended on (or the newest one so far), or None.

        Where that is damaged it is the one before, and `damage` says so.
        """
        wanted = self._wanted()
        return next(filter(is_whole, wanted), next(iter(wanted), None))

    def damage(self) -> str:
        """A sentence where `checkpoint` is an earlier one because the result is damaged; else empty."""
        wanted, found = self._wanted(), self.checkpoint()
        if found is None or found == wanted[0]:
            return ""
        return f"The checkpoint {wanted[0].name} of this run is damaged. This is the one before: {found.name}."

    def _wanted(self) -> list[Path]:
        """The checkpoint that is the run's result, then those before it, then those behind it."""
        try:
            chosen = read_json(self.folder / "status.json").get("checkpoint")
        except (OSError, ValueError, AttributeError):
            chosen = None
        found = self.checkpoints()[::-1]
        place = next((place for place, folder in enumerate(found) if folder.name == chosen), 0)
        return found[place:] + found[:place]

    def finish(self, state: str, reason: str = "", checkpoint: Path | None = None) -> None:
        """Writes the final status and which checkpoint is the run's result. Raises OSError."""
        chosen = checkpoint.name if checkpoint else None
        value = {"state": state, "reason": reason, "updated": time.time(), "checkpoint": chosen}
        write_json(self.folder / "status.json", value)


def create_run(
    config: TrainConfig, runs_dir: Path | str | None = None, owner: str = "", trial: tuple[str, int] | None = None
) -> Run:
    """A new directory with `config`, status `queued`. Raises RunError when it cannot be written, or ConfigError.

    A `trial`, the name of a search and a number, is never judged on the test images while it is one.
    """
    root, owner = Path(runs_dir if runs_dir is not None else runs_folder()), parse_owner(owner)
    try:
        run = Run(new_folder(root, config.recipe))
        try:
            (run.folder / "checkpoints").mkdir()
            if owner:
                write_json(run.folder / META, {"owner": owner, "pinned": False})
            if trial is not None:
                write_json(run.folder / TRIAL, {"search": trial[0], "number": trial[1]})
            write_json(run.config_path, config.model_dump(mode="json"))
            run.set_status("queued")
        except OSError:
            shutil.rmtree(run.folder, ignore_errors=True)
            raise
    except OSError as error:
        raise RunError(
            f"The run cannot be written to {root.resolve()} ({error.strerror}). "
            "Make the folder writable or set MNIST_LAB_RUNS to one that is."
        ) from None
    return run


def new_folder(root: Path, recipe: str) -> Path:
    """A new folder in `root`, named by the moment, the recipe and four random digits."""
    root.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"[^A-Za-z0-9]+", "-", recipe).strip("-")[:40] or "run"
    while True:
        folder = root / f"{time.strftime('%Y%m%d-%H%M%S')}-{name}-{secrets.token_hex(2)}"
        try:
            folder.mkdir()
        except FileExistsError:  # now and then two runs of the same second draw the same digits
            continue
        return folder


def open_run(run_id: str, runs_dir: Path | str | None = None) -> Run:
    """The run called `run_id`. Raises RunError; a name that is no plain run name never becomes a path."""
    root = Path(runs_dir if runs_dir is not None else runs_folder())
    if not is_run_id(run_id) or not (root / run_id / "config.json").is_file():
        raise RunError(f"There is no run '{run_id[:100]}' in {root.resolve()}.")
    return Run(root / run_id)


def is_run_id(text: str) -> bool:
    """Whether `text` is a plain name, which never leads out of the runs folder."""
    return _ID.fullmatch(text) is not None


def list_runs(runs_dir: Path | str | None = None) -> list[Run]:
    """All runs, the newest first. An unreadable or missing folder has none."""
    root = Path(runs_dir if runs_dir is not None else runs_folder())
    try:
        names = sorted((entry.name for entry in os.scandir(root) if entry.is_dir()), reverse=True)
    except OSError:
        return []
    return [Run(root / name) for name in names if is_run_id(name) and (root / name / "config.json").is_file()]


def parse_owner(text: str) -> str:
    """A name as typed → without spaces too many; empty is nobody. Raises ConfigError."""
    name = " ".join(text.split())
    if name and not _NAME.fullmatch(name):
        raise ConfigError(
            f"A name has at most {MOST_LETTERS} letters, digits, spaces and . ' - _ and begins with a letter or digit, "
            f"unlike {repr(text)[:60]}."
        )
    return name


def _first_owner(folder: Path) -> str:
    """Whose the run in `folder` is, as earlier versions wrote it."""
    try:
        return parse_owner(read_json(folder / "owner.json")["owner"])
    except (LabError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""
