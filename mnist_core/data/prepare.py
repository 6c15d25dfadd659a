"""The dataset of a config, completely prepared for training or evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mnist_core.config import Shape, TrainConfig
from mnist_core.data.auxiliary import with_extra
from mnist_core.data.classes import relabel
from mnist_core.data.dataset import Dataset
from mnist_core.data.loading import load_dataset
from mnist_core.data.rehearsal import is_teaching, load_mixed
from mnist_core.data.splits import arrange
from mnist_core.system.progress import Progress


def load_for(
    config: TrainConfig,
    data_dir: Path | str | None = None,
    progress: Progress | None = None,
    *,
    dataset: str | None = None,
    further: bool = False,
    shape: Shape | None = None,
    classes: Sequence[str] | None = None,
    mapping: str = "",
) -> Dataset:
    """The dataset of `config`, split as it says: no model of `config` was trained on its test images.

    Its pictures are prepared as `config.preparation` says, and for a model of input `shape` where one is given.
    `further` adds the auxiliary images of `config` (data/auxiliary.py), for a training only. Another `dataset` keeps
    its own split, as no model of `config` was trained on any of it. Raises DataError.
    """
    if dataset is not None and dataset != config.dataset:
        data = load_dataset(dataset, data_dir, progress, config.preparation, shape)
        return data if classes is None else relabel(data, classes, mapping)
    if is_teaching(config):
        data = load_mixed(config, data_dir, progress, config.extra_copies if further else 0)
    else:
        data = arrange(load_dataset(config.dataset, data_dir, progress, config.preparation, shape), config)
    if classes is not None:
        data = relabel(data, classes, mapping)
    return with_extra(data, config, progress) if further else data
