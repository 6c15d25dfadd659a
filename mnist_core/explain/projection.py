"""Projections: many features a image become two, a place on a map, so that images read alike lie together.

A projection is fitted on the features of some images and can place those of others on the same map: of a drawing, or
of the same images at another time of a training.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from mnist_core.errors import DataError
from mnist_core.lazy import LazyModule
from mnist_core.system.progress import Progress
from mnist_core.system.threads import cores

if TYPE_CHECKING:
    import openTSNE
    from sklearn import decomposition
else:
    openTSNE, decomposition = LazyModule("openTSNE"), LazyModule("sklearn.decomposition")  # noqa: N816

Method = Literal["pca", "t-sne"]
METHODS: dict[Method, str] = {"pca": "PCA", "t-sne": "t-SNE"}
PERPLEXITY = 30  # of t-SNE: about how many neighbours each image heeds
COMPONENTS = 50  # of PCA, before t-SNE, as van der Maaten and Hinton did with 30
EXAGGERATED, FURTHER = 250, 500  # iterations of t-SNE: openTSNE's own
EVERY = 25  # iterations between two reports of progress
LEAST = 10  # images for which t-SNE makes sense
NEIGHBOURS = 10  # of a new image on a t-SNE map, which say where it begins
SEARCH = 0.1  # of t-SNE's time goes into the search for neighbours: for the progress


class Projection(Protocol):
    """`points` (N, 2) float32: where the images that it was fitted on lie."""

    points: np.ndarray

    def project(self, features: np.ndarray) -> np.ndarray:
        """(M, F) float32 of any images → (M, 2) float32 on the same map. Raises DataError where one is no number."""


def project(method: Method, features: np.ndarray, seed: int = 0, progress: Progress | None = None) -> Projection:
    """The map of (N, F) features by that method. Raises DataError as `PCA` and `TSNE` do."""
    return PCA(features, seed) if method == "pca" else TSNE(features, seed, progress)


class PCA:
    """Principal component analysis (Pearson, 1901; Hotelling, 1933): the two directions in which features vary most.

    `explained` (2,) float32 is the share of all variance along each. Of a large number of features the directions are
    found by random sketches (Halko et al., 2011), with `seed`. Their signs are scikit-learn's. `components` more than
    two serve `TSNE`. Raises DataError where there is no image, or a feature is not finite.
    """

    def __init__(self, features: np.ndarray, seed: int = 0, components: int = 2) -> None:
        _check(features)
        count = min(components, *features.shape)
        with np.errstate(invalid="ignore"):  # where nothing varies it divides by 0
            fitted = decomposition.PCA(count, random_state=seed).fit(features)
        varies = fitted.explained_variance_ / max(float(fitted.explained_variance_[0]), 1e-30) > 1e-12
        self._mean: np.ndarray = fitted.mean_
        # fewer images or features than components leave the others at 0
        self._directions = np.zeros((max(count, 2), features.shape[1]), np.float32)
        self._directions[:count] = fitted.components_ * varies[:, None]
        self.explained = np.zeros(len(self._directions), np.float32)
        self.explained[:count] = np.nan_to_num(fitted.explained_variance_ratio_ * varies)
        self.points = self.project(features)

    def project(self, features: np.ndarray) -> np.ndarray:
        """(M, F) → (M, 2) float32. Raises DataError where a feature is not finite."""
        _check(features)
        placed: np.ndarray = (features - self._mean) @ self._directions.T
        return placed.astype(np.float32)


class TSNE:
    """t-SNE (van der Maaten and Hinton, 2008), as openTSNE computes it (Poličar et al., 2024; Linderman et al., 2019).

    Images that are near by their features lie near each other; distances between far groups and their sizes say
    nothing. It begins with PCA, so that groups lie in a likely order (Kobak and Berens, 2019). The same seed gives the
    same map on the same machine. `progress` is called between iterations; what it raises ends the computation. Raises
    DataError as `PCA` does, of fewer than ten images, and where all have the same features.
    """

    def __init__(self, features: np.ndarray, seed: int = 0, progress: Progress | None = None) -> None:
        _check(features)
        if len(features) < LEAST:
            raise DataError(f"t-SNE needs {LEAST} images or more, and here are {len(features)}.")
        if not np.ptp(features, axis=0).any():
            raise DataError("The network's last features are the same for every image: there is no map to draw.")
        self._pca = PCA(features, seed, COMPONENTS) if features.shape[1] > COMPONENTS else None
        self._perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
        self._embedding = openTSNE.TSNE(
            perplexity=self._perplexity,
            random_state=seed,
            n_jobs=cores(),
            early_exaggeration_iter=EXAGGERATED,
            n_iter=FURTHER,
            callbacks=_reports(progress) if progress else None,
            callbacks_every_iters=EVERY,
        ).fit(self._reduced(features))
        self._embedding.gradient_descent_params.update(callbacks=None, use_callbacks=False)  # nor when it is used
        self._embedding.affinities.P = None  # 15 MB for ten thousand images, which new ones do not need
        self._placing = threading.Lock()
        self.points = np.asarray(self._embedding, np.float32)

    def project(self, features: np.ndarray) -> np.ndarray:
        """(M, F) → (M, 2) float32: each begins at its ten nearest neighbours' median and moves while those stay.

        Each is placed by itself, whatever else is placed. Raises DataError where a feature is not finite.
        """
        _check(features)
        nearest = min(NEIGHBOURS, len(self.points) - 1)
        with self._placing:  # it keeps what it needs of the map in the embedding itself
            placed = self._embedding.transform(
                self._reduced(features), perplexity=min(NEIGHBOURS / 2, self._perplexity), k=nearest
            )
        return np.asarray(placed, np.float32)

    def _reduced(self, features: np.ndarray) -> np.ndarray:
        return features if self._pca is None else self._pca.project(features)


def _reports(progress: Progress) -> Callable[..., None]:
    """Called by openTSNE every EVERY iterations of either phase, beginning with 1 in each."""
    done = 0

    def report(_iteration: int, _error: float, _points: Any) -> None:
        nonlocal done
        done += EVERY
        share = done / (EXAGGERATED + FURTHER)
        progress(SEARCH + (1 - SEARCH) * share)

    return report


def _check(features: np.ndarray) -> None:
    if not len(features):
        raise DataError("There is no image to draw a map of.")
    if not np.isfinite(features).all():
        raise DataError(
            "The network's last features are not all numbers, so there is no map: its training went astray. "
            "Train again with a lower learning rate."
        )
