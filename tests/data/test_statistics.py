"""Against cases counted by hand, and against numpy and torch on the whole set as floats."""

import numpy as np
import pytest
import torch

from mnist_core.config import TrainConfig
from mnist_core.data.dataset import Dataset
from mnist_core.data.statistics import (
    class_counts,
    level_values,
    mean_images,
    moments,
    pixel_histogram,
    pixel_statistics,
    split_table,
)
from mnist_core.training.state import TrainState

LABELS = np.array([2, 0, 2, 2, 0])


@pytest.fixture
def colours() -> np.ndarray:
    """(50, 3, 7, 5): channels of different brightness."""
    images = np.random.default_rng(0).integers(0, 256, (50, 3, 7, 5), dtype=np.uint8)
    images[:, 1] //= 4
    return images


def test_classes_are_counted_those_without_an_image_too():
    assert class_counts(LABELS, 4).tolist() == [2, 0, 3, 0]
    assert class_counts(LABELS[:0], 2).tolist() == [0, 0]


def test_the_mean_image_of_a_class_is_the_mean_of_its_pixels():
    images = np.array([[0, 255], [10, 20], [3, 255], [4, 255], [20, 21]], np.uint8).reshape(5, 1, 1, 2)
    means = mean_images(images, LABELS, 4)
    assert means.dtype == np.uint8
    # 0, 3, 4 → 2.33; 10, 20 → 15; 20, 21 → 20.5, rounded to even
    assert means[:, 0, 0].tolist() == [[15, 20], [0, 0], [2, 255], [0, 0]]


@pytest.mark.parametrize("classes", [2, 100])
def test_mean_images_are_those_of_numpy_for_any_shape(colours, classes):
    labels = np.arange(50) % classes
    means = mean_images(colours, labels, classes)
    assert means.shape == (classes, 3, 7, 5)
    for label in range(min(classes, 50)):
        expected = colours[labels == label].astype(float).mean(axis=0)
        assert np.abs(means[label] - expected).max() <= 0.5
    assert not means[50:].any()


def test_a_histogram_counts_every_pixel_of_every_channel(colours):
    histogram = pixel_histogram(colours)
    assert histogram.shape == (3, 256)
    for channel in range(3):
        expected, _ = np.histogram(colours[:, channel], bins=np.arange(257))
        np.testing.assert_array_equal(histogram[channel], expected)


def test_a_histogram_counted_in_parts_misses_no_image():
    # 2,100 × 2,000 pixels: a part of its own each
    images = np.zeros((3, 1, 2100, 2000), np.uint8)
    images[1] = 7
    images[2, 0, 0, 0] = 255
    histogram = pixel_histogram(images)[0]
    assert {level: int(n) for level, n in enumerate(histogram) if n} == {0: 8_399_999, 7: 4_200_000, 255: 1}


def test_moments_are_the_mean_and_deviation_of_what_is_counted():
    histogram, values = np.zeros((1, 256), int), np.arange(256.0)[None]
    histogram[0, [2, 4, 5, 7, 9]] = [1, 3, 2, 1, 1]  # 2, 4, 4, 4, 5, 5, 7, 9: mean 5, deviation 2
    assert moments(histogram, values) == ([5.0], [2.0])


def test_pixel_statistics_are_those_of_torch_in_double_precision(colours):
    means, deviations = pixel_statistics(colours)
    for channel in range(3):
        pixels = torch.from_numpy(colours[:, channel]).double() / 255
        assert means[channel] == pytest.approx(pixels.mean().item(), abs=1e-12)
        assert deviations[channel] == pytest.approx(pixels.std(correction=0).item(), abs=1e-12)


def test_one_grey_everywhere_still_has_a_deviation_to_divide_by():
    means, deviations = pixel_statistics(np.full((3, 1, 4, 4), 51, np.uint8))
    assert means == pytest.approx([0.2])
    assert deviations[0] > 0


@pytest.mark.parametrize("kind", ["unit", "standard"])
def test_values_of_levels_are_what_the_network_computes(colours, kind):
    data = Dataset("x", tuple("01234"), colours, np.arange(50) % 5, colours[:5], np.arange(5))
    config = TrainConfig(model="mlp", normalization=kind, validation_fraction=0.2)
    state = TrainState(config, data, "cpu")
    learned_from = colours[state.train_indices]
    state.model.net = torch.nn.Identity()
    seen = state.model(torch.arange(256).view(1, 1, 1, 256).expand(1, 3, 1, 256) / 255)
    np.testing.assert_allclose(level_values(pixel_histogram(learned_from), kind), seen[0, :, 0], atol=1e-5)


def test_standardised_values_have_mean_0_and_deviation_1(colours):
    histogram = pixel_histogram(colours)
    assert level_values(histogram, "stored").tolist() == [list(range(256))] * 3
    means, deviations = moments(histogram, level_values(histogram, "standard"))
    assert means == pytest.approx([0] * 3, abs=1e-12)
    assert deviations == pytest.approx([1] * 3)


def test_held_out_images_are_marked_in_their_order():
    table = split_table(LABELS, np.array([3, 4]), classes=3, most=2)
    np.testing.assert_array_equal(table, [[0, 1], [np.nan, np.nan], [0, 0]])
    # class 2 has its third image held out, beyond the first two; no class has a fourth
    np.testing.assert_array_equal(
        split_table(LABELS, np.array([3, 4]), 3, 9), [[0, 1, np.nan], [np.nan] * 3, [0, 0, 1]]
    )
