"""A run's weights over its training: a file for steps 0, 1, 2, 4, 8, … and for the end of every epoch.

They are float32, as in a checkpoint: the last one answers exactly as the run's result does, which half the bytes would
not buy. They are those that validation judges: of a run that averages its weights, the average.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mnist_core.runs.run import Run
    from mnist_core.training.events import Event

FOLDER = "snapshots"
MOST_SHOWN = 60  # of a run with many epochs
NAME = re.compile(r"step-(\d{8,12})\.safetensors")


def snapshot_due(event: Event) -> bool:
    """Whether the weights are kept after `event`: at the beginning, at powers of two, and after each epoch."""
    if event["event"] == "step":
        return event["step"] & (event["step"] - 1) == 0
    return event["event"] == "epoch" or (event["event"] == "start" and event["step"] == 0)


def snapshot_path(run: Run, step: int) -> Path:
    """Where the weights after `step` batches are kept."""
    return run.folder / FOLDER / f"step-{step:08d}.safetensors"


def snapshots(run: Run) -> dict[int, Path]:
    """The files that are there, by their steps, the first one first."""
    try:
        found = {path: NAME.fullmatch(path.name) for path in (run.folder / FOLDER).iterdir()}
    except OSError:
        return {}
    return dict(sorted((int(named[1]), path) for path, named in found.items() if named))


def thinned(steps: Sequence[int], most: int = MOST_SHOWN) -> list[int]:
    """About `most` of the steps: powers of two, the last one, and of the others every so many."""
    kept = {step for step in steps if step & (step - 1) == 0} | set(steps[-1:])
    others = [step for step in steps if step not in kept]
    every = max(1, -(-len(others) // max(1, most - len(kept))))
    return sorted(kept | set(others[every - 1 :: every]))


def remove_later(run: Run, step: int) -> None:
    """Deletes those of later steps than `step`, from which the run is resumed. Raises OSError."""
    for later, path in snapshots(run).items():
        if later > step:
            path.unlink(missing_ok=True)
