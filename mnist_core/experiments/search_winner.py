"""The best settings of a search trained anew with other seeds: what they are worth without the luck of the best.

The best of many trials is chosen by its validation accuracy, and that has a part of luck: the seed decides the first
weights, the order of the images and which are held out. So the figure of a winner is too high on average (the winner's
curse), and fresh seeds tell by how much.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from mnist_core.errors import LabError, RunError
from mnist_core.experiments.search import Search
from mnist_core.experiments.seeds import USUAL_SEEDS, Spread, create_seed_runs, final_metric, next_seeds, spread
from mnist_core.runs.run import Run, open_run
from mnist_core.system.files import read_json, write_json

_FILE = "winner.json"


@dataclass(frozen=True)
class Winner:
    """The trial whose settings were trained with fresh seeds, its validation accuracy in [0, 1], and these runs."""

    number: int
    value: float
    trials: int
    ids: tuple[str, ...]
    runs_dir: Path

    def runs(self) -> list[Run]:
        """Those that are still there."""
        found = []
        for run_id in self.ids:
            with contextlib.suppress(RunError):
                found.append(open_run(run_id, self.runs_dir))
        return found

    def spread(self, metric: str) -> Spread:
        """`val_accuracy` or `test_accuracy` over the seeds that are completed."""
        return spread(value for run in self.runs() if (value := final_metric(run, metric)) is not None)

    def sentence(self) -> str:
        """The search's own figure beside that of the fresh seeds, with the difference named; "" before there is one."""
        fresh = self.spread("val_accuracy")
        if not fresh.values:
            return ""
        interval = f", 95 % interval of the mean {text}" if (text := fresh.interval(percent=True)) else ""
        points = 100 * (self.value - fresh.mean)
        seeds = "fresh seed" if len(fresh.values) == 1 else "fresh seeds"
        told = (
            f"The search's own figure is {100 * self.value:.2f} % on validation. With {len(fresh.values)} {seeds} the "
            f"same settings reach {fresh.text(percent=True)}{interval}: "
        )
        if points > 0:
            return (
                f"{told}{points:.2f} points less. The best of {self.trials} trials is flattered by that much: of many "
                "tries the luckiest is on top, and its luck is not repeated."
            )
        return f"{told}{-points:.2f} points more. Here the best of {self.trials} trials was not flattered."


def train_winner(search: Search, owner: str = "") -> Winner:
    """Creates and queues runs of the best settings, with seeds that the search did not use. Raises LabError.

    They are ordinary runs: each reads the test images once at its end.
    """
    best = search.best()
    if best is None or best.value is None:
        raise RunError("No trial of this search has reached its end yet: there are no best settings to train.")
    seeds = next_seeds(search.plan.base.seed + 1, USUAL_SEEDS)
    runs = create_seed_runs(search.config(best.settings), seeds, search.runs_dir, owner)
    counted = sum(tried.counted for tried in search.trials())
    winner = Winner(best.number, best.value, counted, tuple(run.id for run in runs), search.runs_dir)
    value = {"trial": winner.number, "value": winner.value, "trials": counted, "runs": list(winner.ids)}
    try:
        write_json(search.folder / _FILE, value)
    except OSError as error:
        raise RunError(f"Which runs these are cannot be noted in {search.folder} ({error.strerror}).") from None
    return winner


def read_winner(search: Search) -> Winner | None:
    """The latest that was trained, None before there is one."""
    try:
        value = read_json(search.folder / _FILE)
        ids = tuple(str(run_id) for run_id in value["runs"])
        return Winner(int(value["trial"]), float(value["value"]), int(value["trials"]), ids, search.runs_dir)
    except (OSError, ValueError, KeyError, TypeError, LabError):
        return None
