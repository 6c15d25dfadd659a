"""Two models on the same images: where they disagree, and whether one is better by more than chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mnist_core.inference.metrics import Evaluation


@dataclass(frozen=True, eq=False)
class Disagreement:
    """Rows of the images that the first model alone reads right, the second alone, and neither although they differ.

    `p` is of McNemar's exact test that both are right equally often: Q. McNemar, Note on the Sampling Error of the
    Difference Between Correlated Proportions or Percentages, 1947.
    """

    first_alone: np.ndarray
    second_alone: np.ndarray
    both_wrong: np.ndarray
    p: float

    @property
    def rows(self) -> np.ndarray:
        """All images to which they answer differently, in the order of the dataset."""
        return np.sort(np.concatenate([self.first_alone, self.second_alone, self.both_wrong]))


def disagreement(first: Evaluation, second: Evaluation) -> Disagreement:
    """Both models' predictions for the same labelled images. Raises ValueError where the labels differ."""
    if not np.array_equal(first.labels, second.labels):
        raise ValueError("The models were asked about different images.")
    differ = first.predicted != second.predicted
    return Disagreement(
        np.flatnonzero(first.right & ~second.right),
        np.flatnonzero(second.right & ~first.right),
        np.flatnonzero(differ & ~first.right & ~second.right),
        mcnemar_p(int((first.right & ~second.right).sum()), int((second.right & ~first.right).sum())),
    )


def mcnemar_p(first_alone: int, second_alone: int) -> float:
    """How likely so uneven a count of images that one model alone reads right is, if both are equally good.

    The exact two-sided binomial test; 1 where there are no such images.
    """
    from scipy.stats import binomtest

    if not first_alone + second_alone:
        return 1.0
    return float(binomtest(first_alone, first_alone + second_alone, 0.5).pvalue)
