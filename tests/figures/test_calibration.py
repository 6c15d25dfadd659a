import numpy as np
import pytest

from mnist_core.figures.calibration import LARGEST, SMALLEST, reliability_figure
from mnist_core.inference.calibration import reliability
from tests.helpers import strict_json

AFTER = reliability(np.array([0.95, 0.95, 0.9, 0.3]), np.array([True, True, False, False]))
BEFORE = reliability(np.array([0.5, 0.5, 0.5, 0.5]), np.array([True, True, False, False]))


def test_points_lie_at_the_confidence_and_accuracy_of_bins():
    diagonal, before, after = reliability_figure(AFTER, BEFORE).data
    assert list(diagonal.x) == list(diagonal.y) == [0, 1]
    assert (list(before.x), list(before.y), before.customdata[0][0]) == ([0.5], [0.5], 4)
    # 0.9 lies in (13/15, 14/15], 0.95 above it
    assert list(after.x) == [0.3, 0.9, 0.95]
    assert list(after.y) == [0, 0, 1]
    assert [count for count, _ in after.customdata] == [1, 1, 2]


def test_a_points_line_is_its_accuracys_interval():
    _, before, after = reliability_figure(AFTER, BEFORE).data
    # 2 of 4 by Wilson: (0.5 + z²/8 ± z·√(1/16 + z²/64)) / (1 + z²/4)
    assert (before.error_y.array[0], before.error_y.arrayminus[0]) == pytest.approx((0.34996, 0.34996), abs=1e-4)
    assert before.customdata[0][1] == "15.00–85.00"
    assert after.error_y.array[-1] == 0  # nothing is above 100 %


def test_a_larger_point_stands_for_more_answers():
    *_, before, after = reliability_figure(AFTER, BEFORE).data
    assert list(before.marker.size) == [LARGEST]
    small, same, large = after.marker.size
    assert SMALLEST < small == same < large == LARGEST


def test_the_figure_is_strict_json():
    strict_json(reliability_figure(AFTER, BEFORE).to_json())
