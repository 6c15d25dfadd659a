import numpy as np
import pytest

from mnist_core.drawing.strokes import jitter_strokes

SEVEN = [[[20, 90], [80, 90], [40, 10]], [[35, 50], [65, 50]]]


def hands(strokes, count=200) -> list[list[np.ndarray]]:
    return [jitter_strokes(strokes, np.random.default_rng(seed)) for seed in range(count)]


def test_the_strokes_keep_their_number_and_their_points():
    for moved in hands(SEVEN, 5):
        assert [path.shape for path in moved] == [(3, 2), (2, 2)]
        assert not np.allclose(np.concatenate(moved), np.concatenate([np.array(s) for s in SEVEN]), atol=0.1)


def test_the_same_chance_draws_the_same_and_another_something_else():
    first, again, other = (jitter_strokes(SEVEN, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.allclose(first[0], other[0])


def test_what_is_given_is_left_alone():
    given = [np.array(stroke, float) for stroke in SEVEN]
    before = [stroke.copy() for stroke in given]
    jitter_strokes(given, np.random.default_rng(0))
    assert all(np.array_equal(a, b) for a, b in zip(given, before, strict=True))


def test_hands_differ_about_the_given_one():
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


def test_a_dot_and_an_empty_stroke_are_borne():
    assert jitter_strokes([], np.random.default_rng(0)) == []
    (dot,) = jitter_strokes([[[5, 5]], []], np.random.default_rng(0))
    assert np.allclose(dot, 5, atol=1e-6)
