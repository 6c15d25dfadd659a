"""The limits of the environment, checked before runs are created and when old ones are to be deleted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from mnist_core.config import TrainConfig
from mnist_core.errors import RunError
from mnist_core.runs.run import Run, list_runs
from mnist_core.runs.storage import MEGABYTE, size
from mnist_core.system.settings import Limits, limits, parallel_runs, runs_folder


def check_limits(configs: Sequence[TrainConfig], runs_dir: Path | str | None = None) -> None:
    """Raises RunError, which names the limit, unless runs of these settings may be added."""
    root = Path(runs_dir if runs_dir is not None else runs_folder())
    allowed = limits()
    longest = max((config.epochs for config in configs), default=0)
    if allowed.max_epochs is not None and longest > allowed.max_epochs:
        raise RunError(
            f"A run may have at most {allowed.max_epochs} epochs (MNIST_LAB_MAX_EPOCHS), not {longest}. Choose fewer."
        )
    if allowed.max_queue is not None:
        # paused runs do not count: others train in their place
        before = sum(run.status().state in ("queued", "running") for run in list_runs(root))
        if before + len(configs) - parallel_runs() > allowed.max_queue:
            waiting = max(before - parallel_runs(), 0)
            one = len(configs) == 1
            raise RunError(
                f"The queue {'is full' if one else f'has no room for {len(configs)} runs'} "
                f"(MNIST_LAB_MAX_QUEUE={allowed.max_queue}): "
                f"{'1 run waits' if waiting == 1 else f'{waiting} runs wait'} already. "
                f"{'Try' if one else 'Choose fewer, or try'} again when some have ended."
            )
    if allowed.max_storage is not None:
        taken = sum(size(run.folder) for run in list_runs(root))
        if taken > allowed.max_storage * MEGABYTE:
            raise RunError(
                f"All runs together take {taken / MEGABYTE:.0f} MB, over the limit of {allowed.max_storage} MB "
                "(MNIST_LAB_MAX_STORAGE). Delete some that nobody needs."
            )


def runs_to_delete(sizes: Iterable[tuple[Run, int]], limits: Limits) -> list[tuple[Run, int]]:
    """`(run, bytes)` of all runs → those to delete to get below the storage limit: ended, unpinned, oldest first.

    Empty below the limit. The result may not suffice where the other runs are pinned or active.
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
