import numpy as np
import pytest
from PIL import Image

from mnist_core.drawing.images import fit_image, flatten_alpha, size_within


@pytest.mark.parametrize(
    ("size", "box", "expected"),
    [
        ((100, 50), (32, 32), (32, 16)),
        ((50, 100), (32, 20), (10, 20)),
        ((5000, 1), (28, 28), (28, 1)),
        ((4, 4), (8, 8), (8, 8)),
    ],
)
def test_sizes_keep_their_proportions(size, box, expected):
    assert size_within(size, *box) == expected


@pytest.mark.parametrize("channels", [(), (3,)])
def test_a_wide_picture_lies_in_the_middle_of_its_borders_tone(channels):
    picture = np.full((20, 40, *channels), 200, np.uint8)
    picture[5:15, 10:30] = 20
    result = fit_image(picture, 32, 32)
    assert result.shape == (32, 32, *channels)
    assert (result[:8] == 200).all()
    assert (result[24:] == 200).all()
    dark = np.argwhere((result < 110) if not channels else (result < 110).all(axis=2))
    assert dark.min(0).tolist() == [12, 8]
    assert dark.max(0).tolist() == [19, 23]


def test_a_picture_of_that_size_is_unchanged():
    picture = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    np.testing.assert_array_equal(fit_image(picture, 9, 7), picture)


def test_half_transparent_black_on_white_is_grey():
    picture = Image.fromarray(np.tile(np.array([0, 0, 0, 128], np.uint8), (2, 2, 1)))
    assert np.abs(np.asarray(flatten_alpha(picture)).astype(int) - 127).max() <= 1
