"""Runs that wait for their turn, in order, on disk: a server that goes down forgets none of them.

`runs/.queue/` holds an empty file per waiting run, named by its place and its id. A run is waiting as long as its file
is there; to take it is to hold the run's lock and remove the file. `parallel_runs()` slots say how many train at once.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from filelock import FileLock, Timeout

from mnist_core.errors import RunError
from mnist_core.runs.run import QUEUE_FOLDER, Run, is_run_id, open_run
from mnist_core.system.settings import parallel_runs

OWN = ".own"  # ends the mark of a run that a process of its own waits with: workers leave it alone


class Queue:
    """The waiting runs of one runs folder. Cheap to make; holds no state of its own."""

    def __init__(self, runs_dir: Path | str) -> None:
        self.runs_dir = Path(runs_dir)
        self.folder = self.runs_dir / QUEUE_FOLDER

    def add(self, run: Run, own_process: bool = False, first: bool = False) -> None:
        """Puts `run` at the end, or at the front. Raises RunError when the folder cannot be written."""
        place = 0 if first else time.time_ns()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / f"{place:020d}-{run.id}{OWN if own_process else ''}").touch()
        except OSError as error:
            raise RunError(f"Run {run.id} cannot be queued in {self.folder} ({error.strerror}).") from None

    def waiting(self) -> list[Run]:
        """The runs that wait, the next one first. A mark whose run was deleted is dropped."""
        runs = []
        for mark in self._marks():
            try:
                runs.append(open_run(_run_id(mark), self.runs_dir))
            except RunError:
                (self.folder / mark).unlink(missing_ok=True)
        return runs

    def __contains__(self, run: Run) -> bool:
        return any(_run_id(mark) == run.id for mark in self._marks())

    def may_begin(self, run: Run) -> bool:
        """Whether `run`, of a process of its own, has no other such run before it.

        It does not wait for the runs that wait for workers: there may be no worker. Marks of processes that died
        waiting are dropped on the way.
        """
        for mark in self._marks():
            if _run_id(mark) == run.id:
                return True
            if mark.endswith(OWN):
                if Run(self.runs_dir / _run_id(mark)).is_executed():
                    return False
                (self.folder / mark).unlink(missing_ok=True)
        return True

    def before(self, run: Run) -> int:
        """How many wait before `run`."""
        marks = self._marks()
        return next((place for place, mark in enumerate(marks) if _run_id(mark) == run.id), 0)

    def next_for_worker(self) -> Run | None:
        """The first run, if it waits for a worker rather than for a process of its own."""
        for mark in self._marks():
            run = Run(self.runs_dir / _run_id(mark))
            if not mark.endswith(OWN) and run.config_path.is_file():
                return run
            if mark.endswith(OWN) and run.is_executed():
                return None
            (self.folder / mark).unlink(missing_ok=True)
        return None

    def remove(self, run: Run) -> bool:
        """Takes `run` out; whether it was in."""
        mark = self._mark(run)
        if mark is None:
            return False
        try:
            (self.folder / mark).unlink()
        except FileNotFoundError:
            return False
        return True

    def cancel(self, run: Run) -> bool:
        """Takes `run` out and says so in its status; False when it has begun meanwhile. Raises RunError."""
        if not self.remove(run):
            return False
        try:
            run.finish("stopped", "Taken out of the queue before it began.")
        except OSError as error:
            raise RunError(f"Run {run.id} cannot be written ({error.strerror}).") from None
        return True

    def stop(self, run: Run) -> None:
        """Ends the run's waiting, or tells the process that trains it to stop. Raises RunError."""
        if not self.cancel(run) and run.status().active:
            run.command("stop")

    def _mark(self, run: Run) -> str | None:
        return next((mark for mark in self._marks() if _run_id(mark) == run.id), None)

    def _marks(self) -> list[str]:
        try:
            names = sorted(entry.name for entry in os.scandir(self.folder) if entry.is_file(follow_symlinks=False))
        except OSError:
            return []
        marks = [name for name in names if name[:20].isdigit() and name[20:21] == "-"]
        for mark in (name for name in marks if not is_run_id(_run_id(name))):  # it leads out of the runs folder
            with contextlib.suppress(OSError):
                (self.folder / mark).unlink()
        return [mark for mark in marks if is_run_id(_run_id(mark))]


def _run_id(mark: str) -> str:
    return mark[21:].removesuffix(OWN)


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
