"""A long curve is smoothed in parts: the result is that of the whole, computed by numpy's convolution."""

import numpy as np
import pytest

from mnist_core.figures.smoothing import MOST_POINTS, PART, smoothed


@pytest.mark.parametrize("window", [1, 25, 1000])
@pytest.mark.parametrize("count", [1, MOST_POINTS, MOST_POINTS + 1, PART - 1, PART + 1, 3 * PART + 7])
def test_parts_are_smoothed_as_the_whole(count, window):
    x, y = np.arange(count) / 430, np.random.default_rng(count).normal(size=count)
    whole = np.convolve(y, np.ones(window))[:count] / np.minimum(np.arange(1, count + 1), window)
    places, means = smoothed(x, y, window)
    edges = np.linspace(0, count, min(count, MOST_POINTS) + 1).astype(int)
    np.testing.assert_allclose(means, [part.mean() for part in np.split(whole, edges[1:-1])], atol=1e-9)
    assert (places[0], places[-1]) == (x[0], x[-1])
