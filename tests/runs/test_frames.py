"""Frames of a run's snapshots: places on a map, against scikit-learn."""

from __future__ import annotations

import numpy as np

from mnist_core.runs.frames import in_fixed_directions


def test_directions_are_those_of_scikit_learn():
    from sklearn.decomposition import PCA

    random = np.random.default_rng(0)
    moments = [random.normal(size=(200, 7)) @ np.diag(np.arange(1.0, 8)) * size for size in (0.5, 1)]
    expected = [PCA(2).fit(moments[-1]).transform(each) for each in moments]
    found = in_fixed_directions(moments)
    for place, other in zip(found, expected, strict=True):
        assert place.min() >= 0
        assert place.max() <= 1
        for axis in range(2):
            assert abs(np.corrcoef(place[:, axis], other[:, axis])[0, 1]) > 0.99  # but for points moved to the edge
    assert np.ptp(found[0], axis=0).max() < np.ptp(found[1], axis=0).max()
