"""Two seeded draws from the training images: how many of them are learned from, and whose labels are wrong.

Both show what a network needs: how its accuracy grows with the images (C. Cortes et al., Learning curves: asymptotic
values and rate of convergence, 1993), and how much label noise it bears (D. Rolnick et al., Deep learning is robust to
massive label noise, 2017, arXiv:1705.10694).
"""

from __future__ import annotations

import numpy as np

from mnist_core.config import TrainConfig

_SHARE, _NOISE = 1, 2  # streams of random numbers of their own, so that one draw does not change the other


def drawn_share(rows: np.ndarray, labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    """(M,) rows of `labels` (N,) int64 → a `share` in (0, 1] of the rows of each class, sorted; at least one of each.

    Determined by `seed`, and nested: what a smaller share draws is among what a larger one draws.
    """
    if share >= 1:
        return rows
    random = np.random.default_rng([seed, _SHARE])
    kept = []
    for label in np.unique(labels[rows]):
        own = rows[labels[rows] == label]
        kept.append(random.permutation(own)[: max(1, round(share * len(own)))])
    return np.sort(np.concatenate(kept))


def noisy_labels(labels: np.ndarray, rows: np.ndarray, classes: int, share: float, seed: int) -> np.ndarray:
    """(N,) int64 labels → a copy in which those of a `share` in [0, 1) of `rows` are another class each, uniformly.

    Exactly round(`share` × rows) labels are wrong ("symmetric" noise); determined by `seed`.
    """
    noisy = labels.copy()
    random = np.random.default_rng([seed, _NOISE])
    wrong = random.permutation(rows)[: round(share * len(rows))]
    noisy[wrong] = (labels[wrong] + random.integers(1, classes, len(wrong))) % classes
    return noisy


def draw_notes(config: TrainConfig, own: int) -> list[str]:
    """Sentences on both draws for a card; `own` is how many of the dataset's own images are learned from."""
    notes = []
    if config.train_share < 1:
        notes.append(
            f"{own:,} training images, {config.train_share:.3g} of those that validation leaves, drawn by class with "
            f"seed {config.seed} (train_share)"
        )
    if config.label_noise:
        notes.append(
            f"{round(config.label_noise * own):,} of {own:,} training labels replaced by another class at random, with "
            f"seed {config.seed} (label_noise); validation and test keep theirs"
        )
    return notes
