"""A 1 with a flag, as it is written in Europe."""

import numpy as np
import pytest

from benchmarks.european_one import judge
from mnist_core.drawing.strokes import european_one
from mnist_core.inference.predictor import Predictor


def test_flag_foot_and_slant_have_the_lengths_asked_for():
    one, foot = european_one(0.3, 0.5, 60, 0.2)
    assert np.linalg.norm(european_one(0.3, 0, 60)[0][0]) == pytest.approx(0.3)
    assert one[1].tolist() == [0.2, 0.0]
    assert one[2].tolist() == [0.0, 1.0]
    assert np.ptp(foot[:, 0]) == pytest.approx(0.5)
    assert np.all(foot[:, 1] == 1)
    assert len(european_one(0)) == 1
    assert len(european_one(0)[0]) == 2
    upright = european_one(0.3, 0, 60)[0]
    stem, flag = upright[2] - upright[1], upright[0] - upright[1]
    assert stem @ flag / np.linalg.norm(flag) == pytest.approx(np.cos(np.radians(60)))


@pytest.mark.parametrize("flag", [0.0, 0.1, 0.2, 0.3, 0.4])
def test_a_flag_of_up_to_two_fifths_is_no_sure_seven(flag):
    found = judge(Predictor("pen"), flag)
    assert found["a sure 7"] == 0
    assert found["another digit"] == 0
    assert found["a 1"] >= 175
