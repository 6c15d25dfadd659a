"""Runs that wait for a worker or a slot, in order, on disk: a server that goes down forgets none of them.

Each waiting run has a file WAITING in its own folder, with its place in the queue. A run is waiting as long as that
file is there; to take it is to hold the run's lock and remove the file. `parallel_runs()` slots say how many train at
once.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from mnist_core.errors import RunError
from mnist_core.runs.run import WAITING, Run, is_run_id
from mnist_core.system.files import read_json, write_json
from mnist_core.system.settings import parallel_runs


@dataclass(frozen=True, order=True)
class _Entry:
    """A waiting run: nanoseconds since 1970, 0 at the front. `own_process`: workers leave it to the one that waits."""

    place: int
    run_id: str
    own_process: bool


class Queue:
    """The waiting runs of one runs folder. Cheap to make; holds no state of its own."""

    def __init__(self, runs_dir: Path | str) -> None:
        self.runs_dir = Path(runs_dir)

    def add(self, run: Run, own_process: bool = False, first: bool = False) -> None:
        """Puts `run` at the end, or at the front. Raises RunError when its folder cannot be written."""
        place = 0 if first else time.time_ns()
        try:
            write_json(run.folder / WAITING, {"place": place, "own_process": own_process})
        except OSError as error:
            raise RunError(
                f"Run {run.id} cannot be queued: {run.folder} cannot be written ({error.strerror})."
            ) from None

    def waiting(self) -> list[Run]:
        """The runs that wait, the next one first."""
        return [Run(self.runs_dir / entry.run_id) for entry in self._entries()]

    def __contains__(self, run: Run) -> bool:
        return (run.folder / WAITING).exists()

    def may_begin(self, run: Run) -> bool:
        """Whether `run`, of a process of its own, has no other such run before it.

        It does not wait for the runs that wait for workers: there may be no worker. The entries of processes that died
        waiting are removed on the way.
        """
        for entry in self._entries():
            if entry.run_id == run.id:
                return True
            other = Run(self.runs_dir / entry.run_id)
            if entry.own_process:
                if other.is_executed():
                    return False
                self.remove(other)
        return True

    def before(self, run: Run) -> int:
        """How many wait before `run`."""
        ids = [entry.run_id for entry in self._entries()]
        return ids.index(run.id) if run.id in ids else 0

    def next_for_worker(self) -> Run | None:
        """The first run, if it waits for a worker rather than for a process of its own."""
        for entry in self._entries():
            run = Run(self.runs_dir / entry.run_id)
            if not entry.own_process and run.config_path.is_file():
                return run
            if entry.own_process and run.is_executed():
                return None
            self.remove(run)
        return None

    def remove(self, run: Run) -> bool:
        """Takes `run` out; whether it was in. Raises OSError when its folder cannot be written."""
        try:
            (run.folder / WAITING).unlink()
        except FileNotFoundError:
            return False
        return True

    def cancel(self, run: Run) -> bool:
        """Takes `run` out and says so in its status; False when it has begun meanwhile. Raises RunError."""
        try:
            if not self.remove(run):
                return False
            run.finish("stopped", "Taken out of the queue before it began.")
        except OSError as error:
            raise RunError(f"Run {run.id} cannot be written ({error.strerror}).") from None
        return True

    def stop(self, run: Run) -> None:
        """Ends the run's waiting, or tells the process that trains it to stop. Raises RunError."""
        if not self.cancel(run) and run.status().active:
            run.command("stop")

    def _entries(self) -> list[_Entry]:
        """The waiting runs in order; an entry that cannot be read stands at the end."""
        try:
            # workers look 20 times a second: one cheap question per run, and the rest for those that wait
            found = [entry.name for entry in os.scandir(self.runs_dir) if os.path.lexists(f"{entry.path}/{WAITING}")]
        except OSError:
            return []
        return sorted(self._entry(name) for name in found if is_run_id(name))

    def _entry(self, run_id: str) -> _Entry:
        try:
            value = read_json(self.runs_dir / run_id / WAITING)
            place, own_process = value["place"], value["own_process"] is True
            return _Entry(place if type(place) is int else time.time_ns(), run_id, own_process)
        except (OSError, ValueError, KeyError, TypeError):
            return _Entry(time.time_ns(), run_id, False)


class Slot:
    """The right to train: `parallel_runs()` of them in a runs folder. That of a process that dies is free again."""

    def __init__(self, runs_dir: Path | str) -> None:
        self._locks = [FileLock(Path(runs_dir) / f".slot-{number}.lock") for number in range(parallel_runs())]

    def acquire(self) -> bool:
        """Takes a free slot; False when there is none. Raises OSError when the folder cannot be written."""
        if self.held:
            return True
        for lock in self._locks:
            try:
                lock.acquire(timeout=0)
                return True
            except Timeout:
                continue
        return False

    @property
    def held(self) -> bool:
        return any(lock.is_locked for lock in self._locks)

    def release(self) -> None:
        for lock in self._locks:
            lock.release()
