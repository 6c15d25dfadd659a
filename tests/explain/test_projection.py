"""Maps of features against scikit-learn's PCA, linear algebra by hand, and what t-SNE promises."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA as REFERENCE
from sklearn.manifold import trustworthiness

from mnist_core.errors import DataError
from mnist_core.explain.projection import METHODS, PCA, TSNE, project

GROUPS, EACH = 4, 30


def grouped(features: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(120, features) float32 of four groups far apart, and the group of each."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(7).normal(0, 6, (GROUPS, features))
    labels = np.repeat(np.arange(GROUPS), EACH)
    return (centres[labels] + random.normal(0, 1, (len(labels), features))).astype(np.float32), labels


@pytest.fixture(scope="module")
def tsne() -> TSNE:
    return TSNE(grouped()[0], seed=1)


@pytest.mark.parametrize("features", [5, 60, 700])
def test_pca_is_that_of_scikit_learn(features):
    given, _ = grouped(features)
    other, _ = grouped(features, seed=5)
    found, expected = PCA(given), REFERENCE(2, svd_solver="full").fit(given)
    np.testing.assert_allclose(found.points, expected.transform(given), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found.project(other), expected.transform(other), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found.explained, expected.explained_variance_ratio_, rtol=1e-4)


def test_pca_by_hand():
    # along (3, 4) / 5 by -5, 0 and 5, and across by nothing
    given = np.array([[-3, -4], [0, 0], [3, 4]], np.float32) + 10
    found = PCA(given)
    np.testing.assert_allclose(np.abs(found.points), [[5, 0], [0, 0], [5, 0]], atol=1e-5)
    np.testing.assert_allclose(found.explained, [1, 0], atol=1e-6)
    np.testing.assert_allclose(found.project(np.array([[10 - 4, 10 + 3]])), [[0, 0]], atol=1e-4)  # across


def test_a_place_on_the_map_does_not_depend_on_the_others():
    given, _ = grouped()
    found = PCA(given)
    np.testing.assert_allclose(found.project(given[3:4]), found.points[3:4], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("given", [np.ones((6, 4)), np.ones((1, 4)), np.ones((5, 1)), np.zeros((20, 3))])
def test_features_that_do_not_vary_lie_on_one_point(given):
    found = PCA(given.astype(np.float32))
    np.testing.assert_array_equal(found.points, np.zeros((len(given), 2)))
    np.testing.assert_array_equal(found.explained, [0, 0])


@pytest.mark.parametrize("method", METHODS)
def test_what_is_no_number_is_said(method):
    given, _ = grouped()
    with pytest.raises(DataError, match="no image"):
        project(method, given[:0])
    found = project(method, given)
    broken = given.copy()
    broken[4, 2] = np.nan
    for attempt in (lambda: project(method, broken), lambda: found.project(broken)):
        with pytest.raises(DataError, match="not all numbers"):
            attempt()


def test_t_sne_keeps_neighbours_together(tsne):
    given, labels = grouped()
    assert tsne.points.shape == (len(given), 2)
    assert trustworthiness(given, tsne.points, n_neighbors=10) > 0.85
    nearest = cdist(tsne.points, tsne.points).argsort(axis=1)[:, 1]
    assert (labels[nearest] == labels).all()


def test_t_sne_places_new_images_among_their_group(tsne):
    other, labels = grouped(seed=3)
    placed = tsne.project(other)
    nearest = cdist(placed, tsne.points).argmin(axis=1)
    assert (labels[nearest] == labels).all()
    np.testing.assert_allclose(tsne.project(other[5:6]), placed[5:6], atol=1e-3)


def test_the_seed_decides_the_map_of_t_sne(tsne):
    given, _ = grouped()
    np.testing.assert_array_equal(TSNE(given, seed=1).points, tsne.points)


def test_few_images_have_a_map_or_a_reason_why_not():
    given, _ = grouped()
    assert np.isfinite(TSNE(given[:10]).points).all()
    assert np.isfinite(TSNE(given[:10]).project(given[10:13])).all()
    with pytest.raises(DataError, match="the same for every image"):
        TSNE(np.ones((40, 5), np.float32))
    with pytest.raises(DataError, match="10 images or more, and here are 9"):
        TSNE(given[:9])


def test_progress_reaches_one_and_what_it_raises_ends_it():
    given, _ = grouped()
    shares: list[float] = []
    TSNE(given, progress=shares.append)
    assert shares == sorted(shares)
    assert 0 < shares[0] < 0.2
    assert shares[-1] == pytest.approx(1)

    def stop(share: float) -> None:
        raise RuntimeError("away")

    with pytest.raises(RuntimeError, match="away"):
        TSNE(given, progress=stop)
