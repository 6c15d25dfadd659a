"""Resampling by numpy against `interpolate` and `grid_sample` of torch."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import ndimage

from mnist_core.data.geometry import PART, area_weights, cubic_weights, enlarged, in_mnists_geometry, resampled
from mnist_core.data.loading import load_dataset
from mnist_core.drawing.preparation import PREPARED_INK, is_prepared


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize(("height", "width", "to"), [(8, 8, 20), (16, 16, 20), (7, 30, 20), (28, 28, 28), (1, 2, 5)])
@pytest.mark.parametrize(("weights", "mode"), [(cubic_weights, "bicubic"), (area_weights, "area")])
def test_weights_resample_as_torchs_interpolation_does(weights, mode, height, width, to):
    images = noise(3, 2, height, width).astype(np.float32)
    rows, columns = weights(height, to), weights(width, to)
    assert rows.shape == (to, height)
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-6)
    expected = F.interpolate(torch.from_numpy(images), size=(to, to), mode=mode)
    np.testing.assert_allclose(resampled(images, rows, columns), expected, atol=1e-3)


def test_each_image_may_have_weights_of_its_own():
    images, random = noise(3, 6, 5).astype(float), np.random.default_rng(0)
    rows, columns = random.random((3, 4, 6)), random.random((3, 7, 5))
    expected = [r @ image @ c.T for image, r, c in zip(images, rows, columns, strict=True)]
    np.testing.assert_allclose(resampled(images, rows, columns), expected)


@pytest.mark.parametrize("side", [8, 16, 23])
def test_enlarged_digits_lie_in_the_middle_20_pixels(side):
    images = noise(50, 1, side, side) * np.float64(255 / 256)
    large = F.interpolate(torch.from_numpy(images).float(), size=(20, 20), mode="bicubic")
    expected = F.pad(large, (4, 4, 4, 4)).clamp(0, 255).numpy()
    found = enlarged(images)
    assert (found.shape, found.dtype) == ((50, 1, 28, 28), np.uint8)
    assert np.abs(found - expected).max() <= 0.5 + 1e-3  # the nearest level


def by_grid_sample(image: np.ndarray) -> np.ndarray:
    """(28, 28) uint8 → (28, 28) float: its longest side of 20 px, its centre of mass at (14, 14) or near, by torch."""
    ink = np.argwhere(image > PREPARED_INK)
    first, last = ink.min(axis=0), ink.max(axis=0)
    scale = ((last - first).max() + 1) / 19  # px of the image for one of the result
    centre = np.array(ndimage.center_of_mass(image.astype(float)))
    at = np.clip(14, (centre - first) / scale, 27 - (last - centre) / scale)  # where the digit still fits
    rows, columns = (centre[:, None] + (np.arange(28) - at[:, None]) * scale) / 13.5 - 1  # from -1 to 1
    grid = np.stack(np.broadcast_arrays(columns[None, :], rows[:, None]), axis=-1)
    source = torch.from_numpy(image.astype(float))[None, None]
    found = F.grid_sample(source, torch.from_numpy(grid)[None], align_corners=True)[0, 0].numpy()
    return found * 255 / found.max()


@pytest.fixture(scope="module")
def misplaced() -> np.ndarray:
    """(300, 1, 28, 28): digits of 8 to 26 px at any place of the image."""
    random, digits = np.random.default_rng(0), load_dataset("digits").train_images[:300, 0, 4:24, 4:24]
    images = np.zeros((300, 1, 28, 28), np.uint8)
    for image, digit in zip(images, digits, strict=True):
        side = int(random.integers(8, 27))
        small = F.interpolate(torch.from_numpy(digit)[None, None].float(), size=(side, side), mode="bilinear")[0, 0]
        row, column = random.integers(1, 28 - side, 2)
        image[0, row : row + side, column : column + side] = small
    return images


def test_misplaced_digits_come_to_where_grid_sample_puts_them(misplaced):
    found = in_mnists_geometry(misplaced)
    assert (found.shape, found.dtype) == (misplaced.shape, np.uint8)
    moved = [n for n in range(len(found)) if not np.array_equal(found[n], misplaced[n])]
    assert len(moved) > 200
    for number in moved:
        expected = by_grid_sample(misplaced[number, 0])
        assert np.abs(found[number, 0] - expected).max() <= 0.5 + 0.01, number  # the nearest level
    assert all(is_prepared(image) for image in misplaced[[n for n in range(300) if n not in moved], 0])


def test_the_input_stays_and_parts_are_as_the_whole(misplaced, monkeypatch):
    before = misplaced.copy()
    whole = in_mnists_geometry(misplaced)
    np.testing.assert_array_equal(misplaced, before)
    assert len(misplaced) < PART
    monkeypatch.setattr("mnist_core.data.geometry.PART", 7)
    np.testing.assert_array_equal(in_mnists_geometry(misplaced), whole)
    # as EMNIST's files are read: transposed in memory, the result written over them
    turned = misplaced.transpose(0, 1, 3, 2).copy()
    turned[:] = in_mnists_geometry(turned.transpose(0, 1, 3, 2))
    np.testing.assert_array_equal(turned, whole)


def test_no_images_stay_no_images():
    assert in_mnists_geometry(np.zeros((0, 1, 28, 28), np.uint8)).shape == (0, 1, 28, 28)
