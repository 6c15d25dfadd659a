"""What a process does before its first training: takes its share of the cores, and pays for what is slow only once."""

from __future__ import annotations

import os
from pathlib import Path

from mnist_core.errors import LabError
from mnist_core.queue import parallel_runs


def share_the_cores() -> None:
    """Divides the cores among the trainings that may run at once, unless OMP_NUM_THREADS says otherwise.

    A single one takes them all, with the page open too: on two cores `quick` then took 13 s, with one thread 14 s.
    """
    import torch

    if "OMP_NUM_THREADS" not in os.environ and parallel_runs() > 1:
        torch.set_num_threads(max(1, torch.get_num_threads() // parallel_runs()))


def warm_up(data_dir: Path) -> None:
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
