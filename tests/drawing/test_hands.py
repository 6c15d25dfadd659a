"""Invented hands: what each idea changes, and what it leaves."""

import numpy as np
import pytest

from mnist_core.drawing.hands import IDEAS, invent_hand
from tests.helpers.drawing import DIGITS

CROSSED = [[[0, 0], [60, 0], [20, 100]], [[15, 50], [55, 50]]]
FOUR = [np.array(stroke, float) for stroke in DIGITS[4]]


def hands(strokes, name="4", ideas=IDEAS, count=200, y_axis="down") -> list[list[np.ndarray]]:
    return [invent_hand(strokes, name, np.random.default_rng(seed), y_axis, ideas) for seed in range(count)]


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return len(one) == len(other) and all(
        a.shape == b.shape and np.allclose(a, b) for a, b in zip(one, other, strict=True)
    )


def width_to_height(strokes: list[np.ndarray]) -> float:
    width, height = np.ptp(np.concatenate(strokes), axis=0)
    return float(width / height)


@pytest.mark.parametrize("label", range(10))
def test_a_hand_repeats_with_its_seed_only(label):
    first, again, other = (
        invent_hand(DIGITS[label], str(label), np.random.default_rng(seed), ideas=IDEAS) for seed in (1, 1, 2)
    )
    assert same(first, again)
    assert not same(first, other)


def test_without_an_idea_the_strokes_come_back():
    assert same(invent_hand(DIGITS[4], "4", np.random.default_rng(0), ideas=()), FOUR)


def test_only_ones_and_sevens_are_written_anew():
    for label in set(range(10)) - {1, 7}:
        given = [np.array(stroke, float) for stroke in DIGITS[label]]
        assert all(same(hand, given) for hand in hands(given, str(label), ("ones and sevens",), 20))
    for label in (1, 7):
        given = [np.array(stroke, float) for stroke in DIGITS[label]]
        anew = [not same(hand, given) for hand in hands(given, str(label), ("ones and sevens",), 400)]
        assert np.mean(anew) == pytest.approx(0.5, abs=0.1)


def test_a_one_gets_flags_and_feet_of_all_lengths():
    stem = [np.array([[0.0, 0.0], [0.0, 100.0]])]
    anew = [hand for hand in hands(stem, "1", ("ones and sevens",), 400) if not same(hand, stem)]
    feet = np.array([len(hand) == 2 for hand in anew])
    assert feet.mean() == pytest.approx(0.5, abs=0.12)
    for hand in anew:
        flag, corner, bottom = hand[0][0], hand[0][9], hand[0][-1]
        assert flag[0] < corner[0]
        assert flag[1] > corner[1]
        share = np.linalg.norm(flag - corner) / (bottom[1] - corner[1])
        assert 0.04 < share < 0.65  # up to a half, and longer by its slant
    shares = [np.linalg.norm(hand[0][0] - hand[0][9]) / 100 for hand in anew]
    assert min(shares) < 0.15
    assert max(shares) > 0.4


def test_a_crossed_seven_loses_its_bar_at_times():
    found = hands(CROSSED, "7", ("ones and sevens",), 400)
    plain = [np.array(CROSSED[0], float)]
    assert sum(same(hand, plain) for hand in found) / len(found) == pytest.approx(0.25, abs=0.07)
    assert {len(hand) for hand in found} == {1, 2}


def test_the_top_of_a_seven_is_flat_and_that_of_a_one_is_not():
    """The two are told apart by how far the left end lies below the corner, as a share of the distance."""
    seven, one = [np.array(DIGITS[7][0], float)], [np.array([[0.0, 0.0], [0.0, 100.0]])]
    slopes = {}
    for name, given in (("7", seven), ("1", one)):
        anew = [hand[0] for hand in hands(given, name, ("ones and sevens",), 300) if not same(hand, given)]
        tops = [path for path in anew if len(path) in (18, 19)]
        starts = [path[-18] for path in tops]  # behind the serif of a 7
        corners = [path[-9] for path in tops]
        slopes[name] = [(s[1] - c[1]) / (c[0] - s[0]) for s, c in zip(starts, corners, strict=True)]
    assert np.percentile(slopes["7"], 95) < np.percentile(slopes["1"], 5)


def test_forms_change_proportions_ends_and_distances():
    found = hands(FOUR, "4", ("forms",))
    assert {len(hand) for hand in found} == {2}
    ratios = [width_to_height(hand) for hand in found]
    given = width_to_height(FOUR)
    assert np.median(ratios) == pytest.approx(given, rel=0.05)
    assert np.std(ratios) > 0.03
    apart = [hand[1].mean(0) - hand[0].mean(0) for hand in found]
    assert np.std(apart, axis=0).min() > 3  # of 100
    points = np.concatenate([np.concatenate(hand) for hand in found])
    assert points.min() > -50
    assert points.max() < 150


def test_wide_hands_lean_both_ways():
    upright = [np.array([[0.0, 0.0], [0.0, 100.0]])]
    leans = [hand[0][1, 0] - hand[0][0, 0] for hand in hands(upright, "1", ("wide",))]
    assert min(leans) < -15
    assert max(leans) > 15
    assert max(map(abs, leans)) < 100 * np.tan(np.radians(15)) * 1.3
    assert np.mean(leans) == pytest.approx(0, abs=3)


@pytest.mark.parametrize("name", ["1", "7", "4"])
def test_unit_and_direction_of_y_do_not_matter(name):
    given = [np.array(stroke, float) for stroke in DIGITS[int(name)]]
    usual = invent_hand(given, name, np.random.default_rng(5), ideas=IDEAS)
    scaled = invent_hand([stroke * 1e3 for stroke in given], name, np.random.default_rng(5), ideas=IDEAS)
    turned = invent_hand([stroke * [1, -1] for stroke in given], name, np.random.default_rng(5), "up", IDEAS)
    assert same([path * 1e3 for path in usual], scaled)
    assert same([path * [1, -1] for path in usual], turned)


@pytest.mark.parametrize("strokes", [[[[5, 5]]], [[[5, 5], [5, 5]], []], [[[1, 2], [3, 4]]]])
def test_dots_and_short_strokes_stay_finite(strokes):
    for name in ("0", "1", "7"):
        assert all(np.isfinite(path).all() for hand in hands(strokes, name, count=30) for path in hand)


def test_without_points_there_is_nothing_to_invent():
    assert invent_hand([[]], "1", np.random.default_rng(0)) == []


def test_what_is_given_is_left_alone():
    given = [stroke.copy() for stroke in FOUR]
    invent_hand(given, "4", np.random.default_rng(0), ideas=IDEAS)
    assert same(given, FOUR)
