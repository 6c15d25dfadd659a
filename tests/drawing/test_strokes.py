import numpy as np
import pytest

from mnist_core.drawing.strokes import CANVAS, canvas_side, jitter_strokes, render_strokes
from mnist_core.errors import DrawingError
from tests.helpers.drawing import canvas

SEVEN = [[[20, 90], [80, 90], [40, 10]], [[35, 50], [65, 50]]]


def hands(strokes, count=200) -> list[list[np.ndarray]]:
    return [jitter_strokes(strokes, np.random.default_rng(seed)) for seed in range(count)]


def test_the_strokes_keep_their_number_and_their_points():
    for moved in hands(SEVEN, 5):
        assert [path.shape for path in moved] == [(3, 2), (2, 2)]
        assert not np.allclose(np.concatenate(moved), np.concatenate([np.array(s) for s in SEVEN]), atol=0.1)


def test_jitter_repeats_with_its_seed_only():
    first, again, other = (jitter_strokes(SEVEN, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.allclose(first[0], other[0])


def test_what_is_given_is_left_alone():
    given = [np.array(stroke, float) for stroke in SEVEN]
    before = [stroke.copy() for stroke in given]
    jitter_strokes(given, np.random.default_rng(0))
    assert all(np.array_equal(a, b) for a, b in zip(given, before, strict=True))


def test_jittered_strokes_vary_around_the_given_ones():
    """Over many hands the digit stays in place and upright, and no point strays by half its height of 80."""
    points = np.array([np.concatenate(moved) for moved in hands(SEVEN, 400)])
    given = np.concatenate([np.array(stroke, float) for stroke in SEVEN])
    assert np.abs(points.mean(0) - given).max() < 4
    assert points.std(0).min() > 2
    assert np.abs(points - given).max() < 40


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e3])
def test_the_unit_of_the_strokes_does_not_matter(unit):
    usual = jitter_strokes(SEVEN, np.random.default_rng(5))
    scaled = jitter_strokes([[[x * unit, y * unit] for x, y in s] for s in SEVEN], np.random.default_rng(5))
    assert all(np.allclose(a * unit, b) for a, b in zip(usual, scaled, strict=True))


def test_a_dot_and_an_empty_stroke_can_be_jittered():
    assert jitter_strokes([], np.random.default_rng(0)) == []
    (dot,) = jitter_strokes([[[5, 5]], []], np.random.default_rng(0))
    assert np.allclose(dot, 5, atol=1e-6)


def test_a_stroke_is_a_round_brush_of_the_given_width():
    picture = canvas([[[0, 0], [0, 100]]], brush=20, height=0.5)
    rows, columns = np.nonzero(picture > 127)
    assert picture.shape == (280, 280)
    assert picture.max() == 255
    assert np.ptp(columns) + 1 == pytest.approx(20, abs=1)
    assert np.ptp(rows) + 1 == pytest.approx(140 + 20, abs=1)  # half the canvas and two round ends
    assert (rows.mean(), columns.mean()) == pytest.approx((139.5, 139.5), abs=0.6)
    assert ((picture > 0) & (picture < 255)).any()


def test_a_point_is_a_dot_at_the_given_place():
    picture = canvas([[[3, 3]]], centre=(0.25, 0.75))
    rows, columns = np.nonzero(picture > 127)
    assert len(rows) == pytest.approx(np.pi * 100, rel=0.05)
    assert (rows.mean(), columns.mean()) == pytest.approx((209.5, 69.5), abs=0.6)


def test_y_up_is_y_down_turned_over():
    flipped = [[[x, 100 - y] for x, y in stroke] for stroke in SEVEN]
    assert np.array_equal(canvas(SEVEN), canvas(flipped, y_axis="up"))


def test_without_a_height_the_digit_keeps_its_place_in_the_box():
    picture = canvas([[[25, 75]]], height=None)
    rows, columns = np.nonzero(picture > 127)
    assert (rows.mean(), columns.mean()) == pytest.approx((209.5, 69.5), abs=0.6)


def test_strokes_given_are_left_as_they_were():
    strokes = [np.array([[0.0, 10.0], [5.0, 20.0]])]
    before = strokes[0].copy()
    render_strokes(strokes, (100, 100), "up")
    assert np.array_equal(strokes[0], before)


def test_no_strokes_are_refused():
    with pytest.raises(DrawingError):
        render_strokes([], (100, 100))
    with pytest.raises(DrawingError):
        render_strokes([[]], (100, 100))


def test_a_canvas_has_room_for_a_number():
    digit = [[[0, 0], [60, 0], [20, 100]]]
    assert canvas_side(digit) == canvas_side([]) == canvas_side([[]]) == CANVAS
    assert canvas_side([[[0, 0], [280, 100]]]) == 2 * CANVAS
    assert canvas_side([[[0, 0, 17], [0, 9, 20]]]) == CANVAS  # a vertical line, with times
    assert canvas_side([[[0, 5], [9, 5]]]) == 4 * CANVAS
