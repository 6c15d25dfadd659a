"""A lasso in an address and what lies within it, against Matplotlib's paths."""

import numpy as np
import pytest
from matplotlib.path import Path as Polygon

from mnist_core.figures.lasso import MOST, decode_lasso, encode_lasso, within

POINTS = np.random.default_rng(0).normal(0, (3, 40), (500, 2)).astype(np.float32)


def circle(corners: int, radius: float = 1.0) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    return np.stack([3 * radius * np.cos(angle), 40 * radius * np.sin(angle)], axis=1)


@pytest.mark.parametrize("corners", [circle(3), circle(50), np.array([[-5, -60], [5, 60], [5, -60], [-5, 60]])])
def test_the_points_within_are_those_of_matplotlib(corners):
    found = within(POINTS, corners)
    np.testing.assert_array_equal(found, Polygon(corners).contains_points(POINTS))
    assert 0 < found.sum() < len(POINTS)


def test_an_encoded_lasso_selects_the_same_but_at_its_edge():
    text = encode_lasso(circle(40).tolist(), POINTS)
    decoded = decode_lasso(text, POINTS)
    assert decoded is not None
    np.testing.assert_allclose(decoded, circle(40), atol=0.15)
    edge = within(POINTS, circle(40, 0.98)) != within(POINTS, circle(40, 1.02))
    np.testing.assert_array_equal(within(POINTS, decoded)[~edge], within(POINTS, circle(40))[~edge])
    assert encode_lasso(decoded.tolist(), POINTS) == text


def test_a_long_lasso_is_thinned_and_stays_an_address():
    text = encode_lasso(circle(1000).tolist(), POINTS)
    assert len(text) <= 4 * MOST
    assert text.isalnum()
    assert abs(within(POINTS, decode_lasso(text, POINTS)).sum() - within(POINTS, circle(1000)).sum()) < 10


def test_corners_beyond_the_map_are_brought_to_its_edge():
    decoded = decode_lasso(encode_lasso([[-1e9, 0], [1e9, 1], [0, float("nan")]], POINTS), POINTS)
    assert decoded is not None
    assert np.abs(decoded).max() < 1000


@pytest.mark.parametrize(
    "text", ["", "abcd", "abcdefgh", "abcdefghijk", "ABCDEFGHIJKL", "abcd-fghijkl", "²" * 12, "a" * 400]
)
def test_what_is_no_lasso_is_none(text):
    assert decode_lasso(text, POINTS) is None
