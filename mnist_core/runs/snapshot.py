"""A run at one moment, as a page shows it: its state, how far it is, and its curves."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, TypedDict

from mnist_core.errors import LabError
from mnist_core.figures.curves import Curve, curve_spec
from mnist_core.runs.history import History, HistoryReader, shared_reader
from mnist_core.runs.labels import run_label
from mnist_core.runs.queue import Queue
from mnist_core.runs.run import Run, Status


class ProgressBar(TypedDict):
    """A share in [0, 1], and the text above the bar."""

    share: float
    text: str


class Snapshots:
    """Snapshots of a run before the curves of earlier runs. Thread-safe; one costs what has changed since the last."""

    def __init__(self, run: Run, behind: Sequence[Run] = ()) -> None:
        self.run = run
        self._behind = behind
        self._reader = shared_reader(run)
        self._curves: list[tuple[Run, History]] | None = None
        self._drawn: tuple[History | None, dict[str, dict[str, Any]]] = (None, {})
        self._lock = threading.Lock()

    def take(self) -> tuple[Status, dict[str, dict[str, Any]], ProgressBar | None]:
        """The state, the figures `loss` and `accuracy`, and the progress, None where the run never began.

        The figures are the same object until there is more. Raises LabError where the run is damaged.
        """
        with self._lock:
            status, measured = self.run.status(), self._reader.history()
            if measured is not self._drawn[0]:
                if self._curves is None:  # those runs have ended
                    self._curves = _readable(self._behind)
                self._drawn = measured, figures(self.run, measured, self._curves)
            return status, self._drawn[1], progress(self._reader, status.state)


def stage(status: Status) -> str:
    """What a page shows of a run besides progress and curves; it has to be made anew when this changes."""
    return f"{status.state} {status.stepping} {status.reason}"


def figures(run: Run, measured: History, behind: Sequence[tuple[Run, History]]) -> dict[str, dict[str, Any]]:
    """The figures `loss` and `accuracy` as in `curve_spec`, the run's own curves before those of earlier runs.

    Raises RunError where a run's configuration is damaged.
    """
    epochs = max(shown.config().epochs for shown in (run, *(other for other, _ in behind)))
    found = {}
    marks = [(change.epoch, change.label) for change in measured.changes]
    for what in ("loss", "accuracy"):
        curves = []
        for place, (other, history) in enumerate([(run, measured), *behind]):
            suffix = f" · {run_label(other)}" if place else ""
            for kind, series in (("train", history.train), ("validation", history.validation)):
                curves.append(Curve(f"{kind}{suffix}", place, series.epoch, getattr(series, what), kind))
        found[what] = curve_spec(curves, what.capitalize(), epochs, percent=what == "accuracy", marks=marks)
    return found


def _readable(runs: Sequence[Run]) -> list[tuple[Run, History]]:
    """The runs with what they measured; a damaged one is no reason to hide the others."""
    found = []
    for run in runs:
        try:
            run.config()
            found.append((run, shared_reader(run).history()))
        except LabError:
            continue
    return found


def progress(watched: HistoryReader, state: str) -> ProgressBar | None:
    """How far the run is; None where it never began."""
    start = watched.start()
    step = watched.newest_step()
    if state == "queued" or (state == "running" and (start is None or step is None)):
        return {"share": 0.0, "text": "Getting ready …" if state == "running" else _place(watched.run)}
    if start is None or step is None:
        return None
    share = step["step"] / start["total_steps"]
    epochs = start["total_steps"] // start["steps_per_epoch"]
    epoch = min((step["step"] - 1) // start["steps_per_epoch"] + 1, epochs)
    parts = [f"epoch {epoch} of {epochs}"]
    if state in ("running", "paused"):
        rate = step["images_per_second"]
        left = (1 - share) * epochs * start["train_images"] / rate
        parts += [f"{rate:,.0f} images/s", f"{duration(left)} left"]
    return {"share": min(share, 1.0), "text": " · ".join(parts)}


def _place(run: Run) -> str:
    before = Queue(run.folder.parent).before(run)
    if not before:
        return "It begins as soon as a slot is free."
    return f"{before} run{'s' if before > 1 else ''} before it."


def duration(seconds: float) -> str:
    """Seconds in a readable unit: `8 s`, `4:05 min`, `2:10 h`."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60}:{seconds % 60:02d} min"
    return f"{seconds // 3600}:{seconds % 3600 // 60:02d} h"
