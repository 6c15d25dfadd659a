"""Each corruption against SciPy, an image that can be counted by hand, or what its level says."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from mnist_core.data.loading import load_dataset
from mnist_core.errors import ConfigError
from mnist_core.inference.corruptions import (
    CORRUPTIONS,
    DIRECTIONS,
    corrupted,
    corruptions_for,
    example,
    get_corruption,
    ground,
)

DIGITS = load_dataset("digits").test_images[:300]
PHOTOS = np.random.default_rng(0).integers(0, 256, (12, 3, 32, 32), np.uint8)


def square(side: int, dark: int = 0, light: int = 255) -> np.ndarray:
    """A square of ink in the middle of one 28×28 image."""
    image = np.full((1, 1, 28, 28), dark, np.uint8)
    first = 14 - side // 2
    image[0, 0, first : first + side, first : first + side] = light
    return image


def inked(image: np.ndarray) -> float:
    return float(image.sum() / 255)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_every_level_keeps_the_shape(name):
    for images in (DIGITS[:7], PHOTOS, DIGITS[:0]):
        for level in CORRUPTIONS[name].levels:
            found = corrupted(images, name, level, seed=1)
            assert (found.shape, found.dtype) == (images.shape, np.uint8)
            if len(images):
                assert (level == 0) == np.array_equal(found, images)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_levels_grow_from_nothing_and_each_is_worse(name):
    levels = CORRUPTIONS[name].levels
    assert levels[0] == 0
    assert list(levels) == sorted(set(levels))
    away = [np.abs(corrupted(DIGITS, name, level).astype(int) - DIGITS).mean() for level in levels]
    assert away == sorted(away)


@pytest.mark.parametrize("name", ["noise", "rotation", "shift", "occlusion"])
def test_what_is_random_depends_on_the_seed_alone(name):
    level = CORRUPTIONS[name].levels[3]
    first = corrupted(DIGITS, name, level, seed=1)
    np.random.seed(5)
    np.testing.assert_array_equal(first, corrupted(DIGITS, name, level, seed=1))
    assert not np.array_equal(first, corrupted(DIGITS, name, level, seed=2))


@pytest.mark.parametrize("place", [3, 260])
def test_an_example_is_the_image_among_all_the_others(place):
    for name in ("noise", "rotation"):
        shown = example(DIGITS, place, name, seed=2)
        for level, image in zip(CORRUPTIONS[name].levels, shown, strict=True):
            np.testing.assert_array_equal(image, corrupted(DIGITS, name, level, seed=2)[place])


def test_noise_has_the_deviation_of_its_level():
    grey = np.full((50, 1, 28, 28), 128, np.uint8)
    found = corrupted(grey, "noise", 20).astype(float) - 128
    assert found.mean() == pytest.approx(0, abs=0.4)
    assert found.std() == pytest.approx(20, rel=0.02)


@pytest.mark.parametrize("level", [0.5, 1, 2.5])
def test_blur_is_scipys_gaussian(level):
    for images in (DIGITS[:20], PHOTOS):
        expected = ndimage.gaussian_filter(images.astype(float), (0, 0, level, level), mode="nearest", truncate=4)
        assert np.abs(corrupted(images, "blur", level) - expected).max() < 1.5


@pytest.mark.parametrize("degrees", [10, 45, 90])
def test_rotation_is_scipys_to_one_side_or_the_other(degrees):
    found = corrupted(DIGITS[:40], "rotation", degrees)
    sides = []
    for image, turned in zip(DIGITS[:40, 0], found[:, 0], strict=True):
        off = [
            np.abs(ndimage.rotate(image.astype(float), angle, reshape=False, order=1) - turned).max()
            for angle in (degrees, -degrees)
        ]
        assert min(off) < 1
        sides.append(int(np.argmin(off)))
    assert 8 < sum(sides) < 32


def test_a_shift_goes_in_each_of_four_directions_and_cuts_off():
    image = np.zeros((400, 1, 28, 28), np.uint8)
    image[:, 0, 10, 20] = 200
    found = corrupted(image, "shift", 3)
    places = [tuple(np.argwhere(one[0])[0] - (10, 20)) for one in found]
    for down, right in DIRECTIONS:
        assert 60 < places.count((3 * down, 3 * right)) < 140
    gone = corrupted(image, "shift", 8)
    assert {inked(one) for one in gone} == {0.0, 200 / 255}


@pytest.mark.parametrize(("dark", "light"), [(0, 255), (255, 0)])
def test_strokes_grow_and_shrink_by_their_level(dark, light):
    """The width of a square's ink; the enlarged image's edge is blurred by a fraction of a pixel."""
    image = square(8, dark, light)

    def width(found: np.ndarray) -> float:
        row = found[0, 0, 14].astype(float)
        return float(np.abs(row - dark).sum() / 255)

    assert width(image) == 8
    for level in (1, 2, 4):
        assert width(corrupted(image, "thicker", level)) == pytest.approx(8 + level, abs=0.3)
        assert width(corrupted(image, "thinner", level)) == pytest.approx(8 - level, abs=0.3)
    assert width(corrupted(square(2, dark, light), "thinner", 4)) == pytest.approx(0, abs=0.3)


def test_an_occlusion_is_a_square_of_ground_inside():
    images = np.full((200, 3, 32, 32), 90, np.uint8)
    images[:, :, 1:-1, 1:-1] = np.array([250, 200, 150], np.uint8)[:, None, None]
    found = corrupted(images, "occlusion", 6)
    for before, after in zip(images, found, strict=True):
        changed = (before != after).any(axis=0)
        rows, columns = np.nonzero(changed)
        assert (after[:, changed] == 90).all()
        assert np.ptp(rows) <= 5
        assert np.ptp(columns) <= 5
        assert changed.sum() == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
    tops = {int(np.nonzero((b != a).any(axis=(0, 2)))[0].min()) for b, a in zip(images, found, strict=True)}
    assert len(tops) > 20


def test_the_ground_is_the_border_and_fills_corners():
    image = square(8, dark=40, light=220)
    assert ground(image).ravel().tolist() == [40]
    assert corrupted(image, "rotation", 45)[0, 0, 0, 0] == 40


def test_levels_in_pixels_grow_with_the_image():
    small, large = square(8), square(8).repeat(2, axis=2).repeat(2, axis=3)
    ink = [inked(corrupted(image, "thicker", 2)) for image in (small, large)]
    assert ink[1] == pytest.approx(4 * ink[0], rel=0.03)


def test_photos_have_no_strokes_and_names_are_known():
    assert set(CORRUPTIONS) - set(corruptions_for(3)) == {"thicker", "thinner"}
    assert set(corruptions_for(1)) == set(CORRUPTIONS)
    with pytest.raises(ConfigError, match="There is no corruption 'fog' here; there are: noise, blur"):
        corrupted(DIGITS, "fog", 1)
    with pytest.raises(ConfigError, match="There is no corruption 'thinner' of colour images here"):
        get_corruption("thinner", 3)
