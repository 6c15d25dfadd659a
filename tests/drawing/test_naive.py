"""The two simple preparations, on pictures whose result can be counted."""

from __future__ import annotations

import numpy as np
import pytest

from mnist_core.drawing.naive import boxed, shrunk
from mnist_core.errors import DrawingError


def canvas(rows: slice, columns: slice) -> np.ndarray:
    pixels = np.zeros((560, 560), np.uint8)
    pixels[rows, columns] = 255
    return pixels


def test_shrinking_takes_the_mean_of_each_square_of_the_picture():
    pixels = np.random.default_rng(0).integers(0, 256, (560, 560), np.uint8)
    expected = pixels.reshape(28, 20, 28, 20).mean(axis=(1, 3))
    assert np.abs(shrunk(pixels) - expected).max() <= 1
    small = shrunk(canvas(slice(0, 40), slice(0, 20)))
    assert np.argwhere(small).tolist() == [[0, 0], [1, 0]]


@pytest.mark.parametrize(
    ("rows", "columns", "where"),
    [
        (slice(0, 200), slice(400, 440), (4, 23, 12, 15)),  # 20 × 4 px in the middle
        (slice(300, 350), slice(10, 110), (9, 18, 4, 23)),  # 10 × 20 px
    ],
)
def test_a_box_is_scaled_to_20_px_and_put_in_the_middle(rows, columns, where):
    found = boxed(canvas(rows, columns))
    top, bottom, left, right = where
    lit = np.argwhere(found > 0)
    assert (*lit.min(axis=0), *lit.max(axis=0)) == (top, left, bottom, right)
    assert found[top : bottom + 1, left : right + 1].min() == 255


def test_a_box_ignores_where_the_mass_lies():
    pixels = canvas(slice(100, 500), slice(100, 120))
    pixels[100:110, 100:300] = 255
    lit = np.argwhere(boxed(pixels) > 50)
    assert (lit.min(axis=0) + lit.max(axis=0)).tolist() == [27, 27]


def test_colour_and_transparency_are_read_and_blank_is_nothing():
    grey = canvas(slice(0, 200), slice(400, 440))
    for more in (3, 4):
        coloured = np.repeat(grey[..., None], more, axis=2)
        if more == 4:
            coloured[..., 3] = 255
        np.testing.assert_array_equal(boxed(coloured), boxed(grey))
    for blank in (np.zeros((560, 560), np.uint8), np.zeros((0, 4), np.uint8)):
        assert shrunk(blank) is boxed(blank) is None


@pytest.mark.parametrize("way", [shrunk, boxed])
def test_another_shape_is_a_sentence(way):
    with pytest.raises(DrawingError):
        way(np.ones((2, 3, 4, 5), np.uint8))
