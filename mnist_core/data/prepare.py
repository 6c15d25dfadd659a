"""load_for(config) → the dataset that a model of this config is trained and judged on, prepared completely."""

from __future__ import annotations

from pathlib import Path

from mnist_core.config import TrainConfig
from mnist_core.data.auxiliary import with_extra
from mnist_core.data.dataset import Dataset
from mnist_core.data.loading import Progress, load_dataset
from mnist_core.data.splits import arrange


def load_for(
    config: TrainConfig,
    data_dir: Path | str | None = None,
    progress: Progress | None = None,
    *,
    dataset: str | None = None,
    further: bool = False,
) -> Dataset:
    """The dataset of `config`, split as it says, so that its test images are those that no model of it was trained on.

    `further` adds the drawings and non-digits that `config` learns from beside its dataset: only a training needs them.
    Another `dataset` is taken as it is: no model of `config` was trained on any of it. `progress` is called with the
    share done, in (0, 1]. Raises DataError.
    """
    if dataset is not None and dataset != config.dataset:
        return load_dataset(dataset, data_dir, progress)
    data = arrange(load_dataset(config.dataset, data_dir, progress), config)
    return with_extra(data, config, progress) if further else data
