"""The dataset of a teaching: a person's drawings, mixed with images of what the model learned from before.

A network that is trained on new images alone forgets the old ones (M. McCloskey, N. Cohen, Catastrophic Interference in
Connectionist Networks, 1989); to mix old ones in keeps it from that (A. Robins, Catastrophic Forgetting, Rehearsal and
Pseudorehearsal, 1995).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mnist_core.config import TrainConfig
from mnist_core.data.classes import MAPPING, match_classes
from mnist_core.data.dataset import Dataset
from mnist_core.data.loading import default_dataset, load_dataset, resolve_path
from mnist_core.data.pen_digits import Taught, load_taught
from mnist_core.data.splits import arrange, train_and_validation
from mnist_core.errors import DataError
from mnist_core.system.progress import Progress
from mnist_core.system.settings import data_folder

AUTO = "auto"  # MNIST where it is, else what is built in


def is_teaching(config: TrainConfig) -> bool:
    """Whether a training of `config` teaches a model drawings, beside what it learned from before."""
    return bool(config.rehearsal) and config.dataset.startswith("drawings:")


def load_mixed(
    config: TrainConfig, data_dir: Path | str | None = None, progress: Progress | None = None, copies: int = 0
) -> Dataset:
    """The drawings of `config.dataset` among images of `config.rehearsal`, with the classes of the latter.

    The test images are drawings that are held out. The validation images are those that a training on
    `config.rehearsal` with these settings would hold out, so that temperature and threshold stay what they were but for
    the teaching. Each training drawing comes `copies` times, varied; once and as it is for 0.

    Raises DataError, also where a share of the images or wrong labels are asked for: a teaching has neither.
    """
    if config.train_share < 1 or config.label_noise:
        raise DataError(
            "A teaching learns all drawings with their labels: leave train_share at 1 and label_noise at 0."
        )
    name = default_dataset(data_folder() if data_dir is None else data_dir)
    name = name if config.rehearsal == AUTO else config.rehearsal
    earlier = arrange(load_dataset(name, data_dir, None, config.preparation), config)
    if earlier.train_images.shape[1:] != (1, 28, 28):
        raise DataError(f"Drawings have 1×28×28 pixels, which {earlier.title} has not: they cannot be mixed.")
    path = resolve_path(*config.dataset.split(":", 1))
    taught = load_taught(path, copies, config.seed, progress)
    places = np.array(
        match_classes(earlier.classes, taught.classes, config.classes, whose=f"'{path.name}'", how=MAPPING)
    )
    train, validation = train_and_validation(earlier, config)
    kept = _some(train, config.rehearsal_images, config.seed)
    rows = np.concatenate([kept, validation])
    return Dataset(
        config.dataset,
        earlier.classes,
        np.concatenate([earlier.train_images[rows], taught.images]),
        np.concatenate([earlier.train_labels[rows], places[taught.labels]]),
        taught.test_images,
        places[taught.test_labels],
        extra=len(taught.labels),
        preparation=earlier.preparation,
        warning=taught.warning,
        validation=len(validation),
        sources=(_whose(taught), f"{len(kept):,} images of {earlier.title}, which it had learned from before"),
        earlier=earlier,
    )


def _some(rows: np.ndarray, count: int, seed: int) -> np.ndarray:
    chosen = np.random.default_rng(seed).permutation(len(rows))[:count]
    return rows[np.sort(chosen)]


def _whose(taught: Taught) -> str:
    by = f" by {', '.join(taught.writers[:12])}" if taught.writers else ""
    more = f" and {len(taught.writers) - 12} others" if len(taught.writers) > 12 else ""
    held = len(taught.test_labels)
    return f"{taught.drawings:,} drawings{by}{more}, and {held:,} others of the same held out to judge it by"
