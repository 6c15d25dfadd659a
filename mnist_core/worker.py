"""The process that executes runs: `python -m mnist_core.worker RUNS_DIR DATA_DIR` takes them from the queue.

A worker outlives a run and waits for the next with everything imported, so that a click is followed by a first step
at once. It ends when its input does and the queue is empty: whoever started it is gone, no training is lost.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import Timeout

from mnist_core.errors import LabError, RunError
from mnist_core.queue import Queue, Slot, parallel_runs
from mnist_core.runs import Run

RESUME_EVERY_SECONDS = 20.0
POLL_SECONDS = 0.05
WORKERS_FOLDER = ".workers"


def execute(
    run: Run,
    data_dir: Path | str | None = None,
    on_event: Callable[[dict], None] | None = None,
    slot: Slot | None = None,
) -> None:
    """Trains `run` to its end in this process, obeying its commands. What goes wrong is in its status, not raised.

    `on_event` is called with every event after it was written. With a `slot` in hand the run begins at once, otherwise
    it waits for its turn.
    """
    try:
        with run.lock.acquire(timeout=5):
            try:
                _execute(run, data_dir, on_event or (lambda event: None), slot or Slot(run.folder.parent))
            except LabError as error:
                run.finish("failed", str(error), run.checkpoint())
            except OSError as error:
                run.finish("failed", f"A file could not be written: {error.strerror or error}.", run.checkpoint())
            except Exception as error:
                traceback.print_exc()
                run.finish("failed", f"An error in the lab itself: {type(error).__name__}: {error}", run.checkpoint())
    except Timeout:
        return  # another process has this run already


def _execute(run: Run, data_dir: Path | str | None, on_event: Callable[[dict], None], slot: Slot) -> None:
    from mnist_core.checkpoints import load_resume, save_resume
    from mnist_core.data import arrange, load_dataset
    from mnist_core.training import TrainState, train

    config = run.config()
    with _Turn(run, slot) as turn:
        if not turn.wait():
            run.finish("stopped", "Stopped before it began.")
            return
        run.set_status("running")
        data = arrange(load_dataset(config.dataset, data_dir), config)
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

        metrics = {k: event[k] for k in ("train_loss", "train_accuracy", "val_loss", "val_accuracy") if k in event}
        probabilities = state.validation_logits(self.data.train_images[state.val_indices]).softmax(dim=1)
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
        from mnist_core.evaluation import infer, loss_and_accuracy

        assert self.chosen is not None
        checkpoint = load_checkpoint(self.chosen)
        loss, accuracy = loss_and_accuracy(infer(checkpoint.model, self.data.test_images), self.data.test_labels)
        metrics = {**checkpoint.card.metrics, "test_loss": loss, "test_accuracy": accuracy}
        update_card(self.chosen, metrics=metrics)
        return {"train_seconds": state.seconds, **metrics}


class _Turn:
    """The run's turn to train: it waits in the queue for a slot; while paused it lets others pass."""

    def __init__(self, run: Run, slot: Slot) -> None:
        self.run, self._slot = run, slot
        self._queue = Queue(run.folder.parent)
        self._control = run.folder / "control.json"
        self._seen: tuple[int, int] | None = None
        self._command = "run"

    def __enter__(self) -> _Turn:
        return self

    def __exit__(self, *_: object) -> None:
        self._queue.remove(self.run)
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

    def wait(self, first: bool = False) -> bool:
        """Waits for the turn, at the end of the queue or at its front. False when told to stop meanwhile."""
        self._queue.remove(self.run)  # from here on it is this process that waits
        if not self._slot.held:
            self._queue.add(self.run, own_process=True, first=first)
        while self.command() != "stop":
            if self._slot.held or (self._queue.may_begin(self.run) and self._slot.acquire()):
                self._queue.remove(self.run)
                return True
            time.sleep(POLL_SECONDS)
        return False

    def pause(self) -> bool:
        """Waits until told to run again and it is the run's turn. False when told to stop instead."""
        self.run.set_status("paused")
        self._slot.release()
        while self.command() == "pause":
            time.sleep(POLL_SECONDS)
        if not self.wait(first=True):
            return False
        self.run.set_status("running")
        return True


def share_the_cores() -> None:
    """Divides the cores among the trainings that may run at once, unless OMP_NUM_THREADS says otherwise.

    A single one takes them all, with the page open too: on two cores `quick` then took 13 s, with one thread 14 s.
    """
    import torch

    if "OMP_NUM_THREADS" not in os.environ and parallel_runs() > 1:
        torch.set_num_threads(max(1, torch.get_num_threads() // parallel_runs()))


def main() -> None:
    runs_dir, data_dir = (Path(argument) for argument in sys.argv[1:3])
    share_the_cores()
    _warm_up(data_dir)
    abandoned = threading.Event()
    threading.Thread(target=_read_to_the_end, args=(abandoned,), daemon=True).start()
    serve(runs_dir, data_dir, abandoned)


def _read_to_the_end(ended: threading.Event) -> None:
    for _ in sys.stdin:
        pass
    ended.set()


def serve(runs_dir: Path, data_dir: Path, abandoned: threading.Event) -> None:
    """Executes what the queue holds, one run after another, until `abandoned` is set and nothing waits any more.

    Meanwhile `runs/.workers/PID` names the run that is being executed.
    """
    queue, slot = Queue(runs_dir), Slot(runs_dir)
    note = runs_dir / WORKERS_FOLDER / str(os.getpid())
    note.parent.mkdir(parents=True, exist_ok=True)
    try:
        while True:
            run = queue.next_for_worker()
            if run is None and abandoned.is_set():
                return
            # the slot first, then the run: while this one waited, another worker may have taken it
            if run is not None and slot.acquire() and (run := queue.next_for_worker()) is not None:
                note.write_text(run.id)
                execute(run, data_dir, slot=slot)
                note.write_text("")
            slot.release()
            time.sleep(POLL_SECONDS)
    finally:
        note.unlink(missing_ok=True)


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
