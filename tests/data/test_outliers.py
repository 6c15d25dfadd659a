import numpy as np
import pytest

from mnist_core.data.loading import load_dataset
from mnist_core.data.outliers import KINDS, LETTERS, PRINTED, canvases, non_digits
from mnist_core.drawing.preprocess import to_model_input

DIGITS = load_dataset("digits").test_images


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_what_a_model_sees_of_its_canvases(kind):
    drawn = canvases(kind, 12, 0, DIGITS)
    assert {(canvas.shape, canvas.dtype) for canvas in drawn} == {((280, 280), np.dtype(np.uint8))}
    assert min(canvas.max() for canvas in drawn) == 255
    seen = non_digits(kind, 12, 0, DIGITS)
    assert (seen.shape, seen.dtype) == ((12, 1, 28, 28), np.uint8)
    for canvas, picture in zip(drawn, seen, strict=True):
        expected = to_model_input(canvas)
        if expected is not None:
            np.testing.assert_array_equal(picture[0], expected)
    assert len(np.unique(seen.reshape(12, -1), axis=0)) == 12


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_gives_the_same_pictures_and_another_one_others(kind):
    first, again, other = (non_digits(kind, 6, seed, DIGITS) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not (first == other).all(axis=(1, 2, 3)).any()


def test_fewer_pictures_are_the_first_of_more():
    many, few = canvases("letters", 130, 5), canvases("letters", 3, 5)
    np.testing.assert_array_equal(many[:3], few)


def test_no_letter_looks_like_a_digit():
    alike = set("CcDOoQIJijlZzSsGbTtrBYyagq")
    assert not alike & set(LETTERS)
    assert not alike & set(PRINTED)
    assert not set("0123456789|") & set(PRINTED)


def test_every_letter_fits_its_box():
    for strokes in LETTERS.values():
        points = np.concatenate(strokes)
        assert points.min() >= 0
        assert points.max() <= 4
        assert np.ptp(points, axis=0).min() >= 2


def test_several_digits_are_made_of_those_given():
    with pytest.raises(ValueError, match="pass some"):
        canvases("several digits", 1, 0)
    bar = np.zeros((1, 1, 28, 28), np.uint8)
    bar[..., 4:24, 12:16] = 255
    for canvas in canvases("several digits", 20, 0, bar):
        inked = (canvas > 128).any(axis=0)
        assert np.count_nonzero(np.diff(inked.astype(int)) == 1) in (2, 3)
