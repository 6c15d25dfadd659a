"""Runs that differ by their seed at one moment, as a page shows them together: mean curves with bands, one progress."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from mnist_core.figures.bands import seed_band
from mnist_core.figures.curves import curve_spec
from mnist_core.runs.history import History, HistoryReader, shared_reader
from mnist_core.runs.run import Run, Status
from mnist_core.runs.snapshot import ProgressBar, duration, progress, stage

MOST_SHOWN = 20  # runs whose mean is drawn while it moves


class SeedSnapshots:
    """As `snapshot.Snapshots`, of several runs. Raises as that does where one of them is damaged."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self.run = runs[0]
        self._runs = runs[:MOST_SHOWN]
        self._readers = [shared_reader(run) for run in self._runs]
        self._drawn: tuple[tuple[int, ...], list[History], dict[str, dict[str, Any]]] = ((), [], {})
        self._lock = threading.Lock()

    def take(self) -> tuple[Status, dict[str, dict[str, Any]], ProgressBar | None]:
        """Their state taken together, the figures `loss` and `accuracy`, and how far they are."""
        with self._lock:
            statuses = [run.status() for run in self._runs]
            measured = [reader.history() for reader in self._readers]
            if (newest := tuple(id(history) for history in measured)) != self._drawn[0]:
                self._drawn = newest, measured, band_figures(self._runs, measured)
            return together(statuses), self._drawn[2], seeds_progress(self._readers, statuses)


def together(statuses: Sequence[Status]) -> Status:
    """One status for several runs: that of those still under way, whose `stage` is another when any one's is."""
    states = [status.state for status in statuses]
    under_way = next((state for state in ("running", "paused", "queued") if state in states), "")
    ended = "completed" if set(states) == {"completed"} else "stopped"
    return Status(under_way or ended, ", ".join(map(stage, statuses)), max(status.updated for status in statuses))


def band_figures(runs: Sequence[Run], measured: Sequence[History]) -> dict[str, dict[str, Any]]:
    """The figures `loss` and `accuracy`: the mean over the runs with ± one standard deviation.

    Raises RunError where a configuration is damaged.
    """
    epochs, found = max(run.config().epochs for run in runs), {}
    for what in ("loss", "accuracy"):
        bands = []
        for kind in ("train", "validation"):
            series = [history.train if kind == "train" else history.validation for history in measured]
            begun = [(part.epoch, getattr(part, what)) for part in series if len(part.epoch)]
            bands.append(seed_band(f"{kind}, mean ± sd", 0, begun, kind))
        found[what] = curve_spec(bands, what.capitalize(), epochs, percent=what == "accuracy")
    return found


def shortfalls(runs: Sequence[Run], measured: Sequence[History]) -> str:
    """A sentence where some trainings have not come as far as others, over which the mean then is; else empty."""
    reached = [
        max((part.epoch[-1] for part in (h.train, h.validation) if len(part.epoch)), default=0) for h in measured
    ]
    behind = [place for place, epoch in enumerate(reached) if epoch < max(reached) - 1e-9]
    if not behind:
        return ""
    if any(runs[place].status().active for place in behind):
        return "Where not all have come so far yet, mean and band are over those that have."
    told = ", ".join(f"seed {runs[place].config().seed} after epoch {reached[place]:.3g}" for place in behind)
    return f"Some ended earlier ({told}): behind that, mean and band are over the others."


def seeds_progress(readers: Sequence[HistoryReader], statuses: Sequence[Status]) -> ProgressBar:
    """How far they are together: an ended run counts as done."""
    ended = sum(not status.active for status in statuses)
    words, share, left = [f"{ended} of {len(statuses)} seeds ended"], 0.0, 0.0
    trainings = sum(status.state == "running" for status in statuses)
    whole = None  # seconds of one training
    for reader, status in zip(readers, statuses, strict=True):
        own = progress(reader, status.state)
        done = 1.0 if not status.active else own["share"] if own else 0.0
        share += done / len(statuses)
        if status.state != "running":
            continue
        words.append(f"seed {reader.run.config().seed}: {own['text'].split(' · ')[0] if own else 'getting ready'}")
        start, step = reader.start(), reader.newest_step()
        if start is not None and step is not None:
            epochs = start["total_steps"] // start["steps_per_epoch"]
            whole = epochs * start["train_images"] / step["images_per_second"]
            left += (1 - done) * whole
    if whole is not None and trainings:
        waiting = sum(status.state == "queued" for status in statuses)
        words.append(f"{duration((left + waiting * whole) / trainings)} left")
    return {"share": min(share, 1.0), "text": " · ".join(words)}
