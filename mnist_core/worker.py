"""The process that executes runs: `python -m mnist_core.worker RUNS_DIR DATA_DIR` reads run ids from its input.

A worker outlives a run and waits for the next with everything imported, so that a click is followed by a first step
at once. It ends when its input does and its run is over: whoever started it is gone, the training is not lost.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mnist_core.errors import LabError, RunError
from mnist_core.runs import Run, list_runs, open_run

RESUME_EVERY_SECONDS = 20.0
POLL_SECONDS = 0.05


class WorkerPool:
    """Starts runs in worker processes and keeps one warm worker waiting for the next run."""

    def __init__(self, runs_dir: Path, data_dir: Path) -> None:
        self.runs_dir, self.data_dir = runs_dir.resolve(), data_dir.resolve()
        self._workers: list[tuple[subprocess.Popen, Run | None]] = []

    def warm(self) -> None:
        """Makes sure that a worker is there, or on its way. Raises RunError when processes cannot be started.

        While one is busy no second one is started: warming up would take the processor from the training.
        """
        self._idle()
        if not self._workers:
            self._workers.append((self._spawn(), None))

    def start(self, run: Run) -> None:
        """Hands `run` to a waiting worker, or to a new one. Returns at once. Raises RunError."""
        index = self._idle()
        if index is None:
            self._workers.append((self._spawn(), None))
            index = len(self._workers) - 1
        process, _ = self._workers[index]
        self._workers[index] = (process, run)
        try:
            process.stdin.write(run.id + "\n")
            process.stdin.flush()
        except OSError:
            run.finish("failed", "The worker process ended before it could begin. Start the run again.")
            raise RunError("The worker process ended before the run could begin. Start it again.") from None

    def _idle(self) -> int | None:
        self._workers = [(p, run) for p, run in self._workers if p.poll() is None]
        for index, (_, run) in enumerate(self._workers):
            if run is None or not run.status().active:
                return index
        return None

    def _spawn(self) -> subprocess.Popen:
        detached: dict[str, Any] = (
            {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP} if os.name == "nt" else {"start_new_session": True}
        )
        try:
            self.runs_dir.mkdir(parents=True, exist_ok=True)
            with (self.runs_dir / ".worker.log").open("ab") as log:
                return subprocess.Popen(
                    [sys.executable, "-m", "mnist_core.worker", str(self.runs_dir), str(self.data_dir)],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    text=True,
                    cwd=Path(__file__).resolve().parent.parent,
                    **detached,
                )
        except OSError as error:
            raise RunError(
                f"No training process can be started with {self.runs_dir} ({error.strerror}). "
                "Make the folder writable or set MNIST_LAB_RUNS to one that is."
            ) from None

    def close(self) -> None:
        """Lets idle workers end, and busy ones after their run."""
        for process, _ in self._workers:
            process.stdin.close()
        self._workers = []


def execute(run: Run, data_dir: Path | str | None = None, on_event: Callable[[dict], None] | None = None) -> None:
    """Trains `run` to its end in this process, obeying its commands. What goes wrong is in its status, not raised.

    `on_event` is called with every event after it was written.
    """
    try:
        with run.lock.acquire(timeout=5):
            try:
                _execute(run, data_dir, on_event or (lambda event: None))
            except LabError as error:
                run.finish("failed", str(error), run.checkpoint())
            except OSError as error:
                run.finish("failed", f"A file could not be written: {error.strerror or error}.", run.checkpoint())
            except Exception as error:
                traceback.print_exc()
                run.finish("failed", f"An error in the lab itself: {type(error).__name__}: {error}", run.checkpoint())
    except Timeout:
        return  # another process has this run already


def _execute(run: Run, data_dir: Path | str | None, on_event: Callable[[dict], None]) -> None:
    from mnist_core.checkpoints import load_resume, save_resume
    from mnist_core.data import load_dataset
    from mnist_core.training import TrainState, train

    config = run.config()
    with _Turn(run) as turn:
        if not turn.wait():
            run.finish("stopped", "Stopped before it began.")
            return
        run.set_status("running")
        data = load_dataset(config.dataset, data_dir)
        state = TrainState(config, data)
        with (run.folder / "metrics.jsonl").open("a", encoding="utf-8") as log:

            def emit(event: dict[str, Any]) -> None:
                log.write(json.dumps(event) + "\n")
                log.flush()
                on_event(event)

            if run.resume_path.exists():
                _resume(state, load_resume(run.resume_path), run)
            if log.tell():
                log.write("\n")  # ends a line that a kill may have torn; an empty one is skipped
                emit({"event": "resume", "step": state.step, "epoch": state.epoch})

            results = _Results(run, data)
            saved = time.monotonic()
            stopped = False
            for event in train(config, data, state):
                emit(event)
                if event["event"] == "epoch":
                    results.save(state, event)
                if event["event"] == "epoch" or time.monotonic() - saved > RESUME_EVERY_SECONDS:
                    save_resume(run.resume_path, state.state_dict())
                    saved = time.monotonic()
                if turn.command() == "run":
                    continue
                save_resume(run.resume_path, state.state_dict())
                if turn.command() == "stop" or not turn.pause():
                    stopped = state.epoch < config.epochs
                    break
                saved = time.monotonic()

            if stopped:
                results.save(state, {})
                emit({"event": "end", "reason": "stopped", "step": state.step, "train_seconds": state.seconds})
                run.finish("stopped", "Stopped by hand.", results.chosen)
            else:
                emit({"event": "end", "reason": "completed", "step": state.step, **results.test(state)})
                run.finish("completed", "", results.chosen)


def _resume(state: Any, saved: dict[str, Any], run: Run) -> None:
    try:
        if saved["config"] != run.config().model_dump():
            raise RunError(f"The saved state of run {run.id} belongs to other settings: start a new run instead.")
        state.load_state_dict(saved)
    except (RuntimeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, LabError):
            raise
        raise RunError(f"The saved state of run {run.id} is damaged: start a new run instead.") from None


class _Results:
    """The run's checkpoints: one per epoch, of which the newest two and the best on validation are kept."""

    def __init__(self, run: Run, data: Any) -> None:
        self.run, self.data = run, data
        self.config = run.config()
        self.chosen: Path | None = None
        self._best: tuple[float, float] | None = None
        for card_path in sorted(run.folder.glob("checkpoints/epoch-*/card.json")):
            self._consider(card_path.parent, json.loads(card_path.read_text())["metrics"])

    def save(self, state: Any, event: dict[str, Any]) -> None:
        """Writes the checkpoint of the epoch that `event` reports (or of a stop within one)."""
        from mnist_core.checkpoints import save_checkpoint
        from mnist_core.evaluation import infer

        metrics = {k: event[k] for k in ("train_loss", "train_accuracy", "val_loss", "val_accuracy") if k in event}
        probabilities = infer(state.best_model, self.data.train_images[state.val_indices]).softmax(dim=1)
        folder = self.run.folder / "checkpoints" / f"epoch-{state.epoch + bool(state.batch):03d}"
        save_checkpoint(
            folder,
            state.best_model,
            name=self.run.id,
            architecture=self.config.model,
            classes=list(self.data.classes),
            input_shape=tuple(self.data.train_images.shape[1:]),
            dataset=self.config.dataset,
            config=self.config,
            epoch=state.epoch,
            step=state.step,
            train_seconds=round(state.seconds, 3),
            metrics=metrics,
            # one in a hundred real digits, never trained on, is less sure than this
            refuse_below=round(probabilities.amax(dim=1).quantile(0.01).item(), 4),
        )
        self._consider(folder, metrics)
        kept = sorted(self.run.folder.glob("checkpoints/epoch-*"))[-2:]
        for old in self.run.folder.glob("checkpoints/epoch-*"):
            if old not in kept and old != self.chosen:
                shutil.rmtree(old, ignore_errors=True)

    def _consider(self, folder: Path, metrics: dict[str, float]) -> None:
        score = (metrics.get("val_accuracy", 0.0), -metrics.get("val_loss", 0.0))
        if self.config.keep == "last" or self._best is None or score > self._best:
            self.chosen, self._best = folder, score

    def test(self, state: Any) -> dict[str, Any]:
        """The one look at the test images, by the chosen checkpoint; kept in its card."""
        from mnist_core.checkpoints import load_checkpoint, update_card
        from mnist_core.evaluation import loss_and_accuracy

        assert self.chosen is not None
        checkpoint = load_checkpoint(self.chosen)
        loss, accuracy = loss_and_accuracy(checkpoint.model, self.data.test_images, self.data.test_labels)
        metrics = {**checkpoint.card.metrics, "test_loss": loss, "test_accuracy": accuracy}
        update_card(self.chosen, metrics=metrics)
        return {"train_seconds": state.seconds, **metrics}


class _Turn:
    """One training at a time per runs folder: the oldest waiting run goes first; a paused one lets others pass."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._slot = FileLock(run.folder.parent / ".slot.lock")
        self._control = run.folder / "control.json"
        self._seen: tuple[int, int] | None = None
        self._command = "run"

    def __enter__(self) -> _Turn:
        return self

    def __exit__(self, *_: object) -> None:
        self._slot.release()

    def command(self) -> str:
        """The latest command, read only when the file has changed: this is asked after every batch."""
        try:
            found = os.stat(self._control)
            stamp = (found.st_mtime_ns, found.st_ino)
        except OSError:
            return "run"
        if stamp != self._seen:
            self._seen, self._command = stamp, self.run.commanded()
        return self._command

    def wait(self) -> bool:
        """Waits for the turn. False when told to stop meanwhile."""
        while self.command() != "stop":
            if not self._others_first():
                try:
                    self._slot.acquire(timeout=0)
                    return True
                except Timeout:
                    pass
            time.sleep(POLL_SECONDS)
        return False

    def _others_first(self) -> bool:
        waiting = (run for run in list_runs(self.run.folder.parent) if run.id < self.run.id)
        return any(run.status().state == "queued" and run.is_executed() for run in waiting)

    def pause(self) -> bool:
        """Waits until told to run again and it is the run's turn. False when told to stop instead."""
        self.run.set_status("paused")
        self._slot.release()
        while self.command() == "pause":
            time.sleep(POLL_SECONDS)
        if not self.wait():
            return False
        self.run.set_status("running")
        return True


def leave_a_core_to_the_page() -> None:
    """Lets torch use all cores but one, unless OMP_NUM_THREADS says otherwise.

    Threads that meet at a barrier many hundred times a second wait for the one that a browser keeps from running: on
    two cores with the page open, `quick` took 15 s with two threads and 11 s with one.
    """
    import torch

    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) - 1))


def main() -> None:
    runs_dir, data_dir = (Path(argument) for argument in sys.argv[1:3])
    leave_a_core_to_the_page()
    _warm_up(data_dir)
    for line in sys.stdin:
        try:
            run = open_run(line.strip(), runs_dir)
        except RunError as error:
            print(error, file=sys.stderr, flush=True)
            continue
        execute(run, data_dir)


def _warm_up(data_dir: Path) -> None:
    """Pays for imports, the dataset and the first call of each kernel before somebody waits for them."""
    from mnist_core.data import default_dataset, load_dataset
    from mnist_core.recipes import RECIPES
    from mnist_core.training import TrainState, train

    try:
        data = load_dataset(default_dataset(data_dir), data_dir)
        config = RECIPES["quick"].config(data.name)
        steps = train(config, data, TrainState(config, data))
        for _ in range(3):
            next(steps)
    except LabError:
        pass  # a damaged dataset is reported by the run that asks for it


if __name__ == "__main__":
    main()
