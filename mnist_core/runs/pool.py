"""WorkerPool: as many worker processes as the queue has use for, one of them always warm."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from mnist_core.errors import RunError
from mnist_core.runs.calls import NoAnswerError, ask, compute
from mnist_core.runs.queue import Queue
from mnist_core.runs.run import Run, open_run
from mnist_core.runs.worker import WORKERS_FOLDER
from mnist_core.system.resources import child_environment
from mnist_core.system.settings import parallel_runs

TEND_SECONDS = 0.5
IDLE_SECONDS = 600.0
"""A worker that nobody wanted for so long goes, and with it 0.9 GB of memory."""
# low priority: a training leaves the pages, which people wait for, the time they need (elsewhere: see runs/__main__.py)
_WINDOWS_FLAGS = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0) | getattr(
    subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0
)


class WorkerPool:
    """Queues runs for worker processes. A thread sees to it that there is a worker for every run whose turn it is.

    The queue is on disk: what an earlier pool left waiting is executed too.
    """

    def __init__(self, runs_dir: Path, data_dir: Path) -> None:
        self.runs_dir, self.data_dir = runs_dir.resolve(), data_dir.resolve()
        self._workers: list[subprocess.Popen] = []
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._keeper: threading.Thread | None = None
        self._lines: dict[int, threading.Lock] = {}  # by process: one call at a time
        self._deaf: set[int] = set()  # processes that did not answer a call in time
        self._wanted = 0.0  # when somebody last wanted a worker, or one had work: time.monotonic()

    @property
    def processes(self) -> tuple[subprocess.Popen, ...]:
        """The workers, the oldest first; one that has ended counts until the pool has noticed it."""
        return tuple(self._workers)

    def warm(self) -> None:
        """Makes sure that a worker is there, or on its way. Raises RunError when processes cannot be started."""
        self._wanted = time.monotonic()
        self.tend()
        with self._lock:
            if self._keeper is None:
                self._keeper = threading.Thread(target=self._keep, daemon=True)
                self._keeper.start()

    def settled(self) -> bool:
        """Whether a worker is there, and none is warming up, which takes all cores for some seconds."""
        with self._lock:
            alive = [worker for worker in self._workers if worker.poll() is None]
            return bool(alive) and all(self._note(worker).exists() for worker in alive)

    def call(self, name: str, *arguments: Any) -> Any:
        """What a function of the library returns, as in "training.profile:seconds_per_image".

        It is computed in an idle worker where there is one, else in this process. Raises what the function raises.
        """
        with self._lock:
            lines = [
                (worker, self._lines.setdefault(worker.pid, threading.Lock()))
                for worker in self._workers
                if worker.poll() is None and worker.pid not in self._deaf and self._note(worker).exists()
            ]
        for worker, line in lines:
            if self._run_of(worker) is None and worker.stdin is not None and worker.stdout is not None:
                try:
                    with line:
                        return ask(worker.stdin, worker.stdout, name, arguments)
                except NoAnswerError as error:
                    if isinstance(error.__cause__, TimeoutError):  # its late answer must not be taken for another's
                        with self._lock:
                            self._deaf.add(worker.pid)
        return compute(name, arguments)

    def start(self, run: Run) -> None:
        """Puts `run` at the end of the queue. Returns at once. Raises RunError."""
        Queue(self.runs_dir).add(run)
        self.warm()

    def tend(self) -> None:
        """Replaces workers that died, starts another where runs wait that may begin, and lets idle ones go after a
        while in which nobody wanted any. Raises RunError.
        """
        with self._lock:
            self._workers = [worker for worker in self._workers if worker.poll() is None]
            at_work = [self._run_of(worker) for worker in self._workers]
            idle = at_work.count(None)
            # a paused run keeps its process and gives up its slot
            training = sum(run is not None and run.status().state != "paused" for run in at_work)
            # beyond the warm worker none is started early: warming up would take the processor from a training
            waiting = Queue(self.runs_dir).next_for_worker() is not None
            if waiting or idle < len(at_work):
                self._wanted = time.monotonic()
            if time.monotonic() - self._wanted > IDLE_SECONDS:
                self._dismiss()
            elif not self._workers or (waiting and not idle and training < parallel_runs()):
                self._workers.append(self._spawn())

    def _run_of(self, worker: subprocess.Popen) -> Run | None:
        try:
            return open_run(self._note(worker).read_text(), self.runs_dir)
        except (OSError, RunError):  # none, or no run's name
            return None

    def _note(self, worker: subprocess.Popen) -> Path:
        """What the worker writes as soon as it is warm (see worker.serve)."""
        return self.runs_dir / WORKERS_FOLDER / str(worker.pid)

    def _keep(self) -> None:
        while not self._closed.wait(TEND_SECONDS):
            try:
                self.tend()
            except RunError as error:  # a person's next click gets the same sentence
                print(error, file=sys.stderr)

    def _spawn(self) -> subprocess.Popen[bytes]:
        try:
            self.runs_dir.mkdir(parents=True, exist_ok=True)
            with (self.runs_dir / ".worker.log").open("ab") as log:
                return subprocess.Popen(
                    # -P: a person's file named as one of Python's modules, in the working directory, is none of them
                    [sys.executable, "-P", "-m", "mnist_core.runs", str(self.runs_dir), str(self.data_dir)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=child_environment(),
                    # a group of its own: Ctrl-C at the server does not reach it
                    creationflags=_WINDOWS_FLAGS,
                    start_new_session=os.name != "nt",
                )
        except OSError as error:
            raise RunError(
                f"No training process can be started with {self.runs_dir} ({error.strerror}). "
                "Make the folder writable or set MNIST_LAB_RUNS to one that is."
            ) from None

    def close(self) -> None:
        """Lets idle workers end, and busy ones after the last run that waits."""
        self._closed.set()
        with self._lock:
            self._dismiss()

    def _dismiss(self) -> None:
        """The end of its input tells a worker to end as soon as no run waits."""
        for worker in self._workers:
            if worker.stdin is not None:
                worker.stdin.close()
        self._workers = []
