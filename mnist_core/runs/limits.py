"""Whether one more run may begin: the limits of the environment, held against what is there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from mnist_core.config import TrainConfig
from mnist_core.errors import RunError
from mnist_core.runs.run import Run, list_runs
from mnist_core.runs.storage import MEGABYTE, size
from mnist_core.system.settings import Limits, limits, parallel_runs, runs_folder


def check_limits(configs: Sequence[TrainConfig], runs_dir: Path | str | None = None) -> None:
    """Raises RunError, saying which limit is in the way, unless runs of these settings may be added."""
    root = Path(runs_dir if runs_dir is not None else runs_folder())
    allowed = limits()
    longest = max((config.epochs for config in configs), default=0)
    if allowed.max_epochs is not None and longest > allowed.max_epochs:
        raise RunError(f"A run of this lab has at most {allowed.max_epochs} epochs, not {longest}: choose fewer.")
    if allowed.max_queue is not None:
        # a paused run has given its place to others
        before = sum(run.status().state in ("queued", "running") for run in list_runs(root))
        waiting = before + len(configs) - parallel_runs()
        if waiting > allowed.max_queue:
            raise RunError(
                f"At most {allowed.max_queue} runs wait in this lab, and then {waiting} would: try again when some "
                "have ended."
            )
    if allowed.max_storage is not None:
        taken = sum(size(run.folder) for run in list_runs(root))
        if taken > allowed.max_storage * MEGABYTE:
            raise RunError(
                f"The runs of this lab take {taken / MEGABYTE:.0f} MB, over the limit of {allowed.max_storage} MB: "
                "delete some that nobody needs."
            )


def runs_to_delete(sizes: Iterable[tuple[Run, int]], limits: Limits) -> list[tuple[Run, int]]:
    """`(run, bytes)` of all runs → those to delete for being below the limit again: ended, unpinned, oldest first.

    Empty while the limit is kept. May not suffice where the others are pinned or active.
    """
    sizes = list(sizes)
    excess = sum(taken for _, taken in sizes) - (limits.max_storage or 0) * MEGABYTE
    chosen = []
    for run, taken in sorted(sizes, key=lambda pair: pair[0].id):
        if limits.max_storage is None or excess <= 0:
            break
        if not run.pinned and not run.status().active:
            chosen.append((run, taken))
            excess -= taken
    return chosen
