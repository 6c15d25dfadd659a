"""What a process does before its first training: it pays for what is slow only once."""

from __future__ import annotations

from pathlib import Path

from mnist_core.errors import LabError


def warm_up(data_dir: Path) -> None:
    """Pays for imports, the dataset and the first call of each kernel before somebody waits for them."""
    from mnist_core.data.loading import default_dataset, load_dataset
    from mnist_core.recipes import RECIPES
    from mnist_core.training.loop import train
    from mnist_core.training.state import TrainState

    try:
        data = load_dataset(default_dataset(data_dir), data_dir)
        config = RECIPES["quick"].config(data.name)
        steps = train(config, data, TrainState(config, data))
        for _ in range(3):
            next(steps)
    except LabError:
        pass  # a damaged dataset is reported by the run that asks for it
