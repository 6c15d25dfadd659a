import numpy as np
import pytest
from PIL import Image, ImageDraw

from mnist_core.data.loading import load_dataset
from mnist_core.data.outliers import non_digits
from mnist_core.drawing.preparation import MAX_HALF_WIDTH
from mnist_core.drawing.preprocess import to_model_input
from mnist_core.drawing.strokes import render_strokes
from mnist_core.inference.rejection import shape_rejection

ONE = [[0, 0], [0, 1]]
SEVEN = [[0, 0], [1, 0], [0.4, 1]]


def drawn(*strokes) -> np.ndarray:
    return to_model_input(render_strokes(strokes, (1, 1), height=0.6))


def moved(stroke, x: float) -> list[list[float]]:
    return [[a + x, b] for a, b in stroke]


@pytest.mark.parametrize(
    "strokes",
    [[ONE], [SEVEN], [SEVEN, [[0.3, 0.5], [0.9, 0.5]]], [[[0, 0], [0, 0.5], [1, 0.5]], [[0.8, 0.1], [0.8, 1]]]],
)
def test_one_digit_is_not_rejected(strokes):
    assert shape_rejection(drawn(*strokes)) is None


@pytest.mark.parametrize("strokes", [[ONE, moved(ONE, 0.8)], [SEVEN, moved(ONE, 1.6)], [ONE, moved(SEVEN, 0.8)]])
def test_two_digits_side_by_side_are_rejected(strokes):
    assert shape_rejection(drawn(*strokes)) == "several"


def test_dots_and_stacked_bars_are_not_several_digits():
    assert shape_rejection(drawn(SEVEN, [[1.6, 0.9], [1.7, 0.9]])) is None
    assert shape_rejection(drawn([[0, 0], [1, 0]], [[0, 0.6], [1, 0.6]])) is None


def test_a_blot_is_rejected_and_a_ring_is_not():
    sheet = Image.new("L", (280, 280))
    ImageDraw.Draw(sheet).ellipse((60, 60, 220, 220), fill=255)
    assert shape_rejection(to_model_input(np.asarray(sheet))) == "filled"
    ring = [[np.cos(a), np.sin(a)] for a in np.linspace(0, 2 * np.pi, 40)]
    assert shape_rejection(drawn(ring)) is None


@pytest.mark.parametrize("radius", [3, 5, 7, 9])
def test_how_thick_a_disc_may_be(radius):
    y, x = np.mgrid[:28, :28]
    disc = np.uint8(255 * (np.hypot(y - 14, x - 14) <= radius))
    assert (shape_rejection(disc) == "filled") == (radius + 0.5 > MAX_HALF_WIDTH)


@pytest.mark.mnist
def test_hardly_any_mnist_digit_is_rejected(mnist_dir):
    images = load_dataset("mnist", mnist_dir).train_images[20_000:24_000, 0]
    assert np.mean([shape_rejection(image) is not None for image in images]) <= 0.002


def test_most_images_of_several_digits_are_rejected():
    digits = load_dataset("digits").test_images
    pictures = non_digits("several digits", 60, 0, digits)
    assert np.mean([shape_rejection(picture[0]) == "several" for picture in pictures]) > 0.6
