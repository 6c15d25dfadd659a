"""The benchmark of strangers: its views of an image and the rows of its table."""

import numpy as np
import pytest

from benchmarks.strangers import lean, line


def test_a_view_leans_about_the_middle():
    bar = np.zeros((1, 1, 28, 28), np.uint8)
    bar[..., 4:24, 13:15] = 200
    assert (lean(bar, 0.0) == bar).all()
    for degrees in (-20.0, 20.0):
        rows = lean(bar, degrees)[0, 0].astype(float)
        places = (rows @ np.arange(28))[4:24] / rows.sum(1)[4:24]
        expected = 13.5 - np.tan(np.radians(degrees)) * (np.arange(4, 24) - 13.5)
        np.testing.assert_allclose(places, expected, atol=0.1)


def test_a_row_compares_fold_by_fold():
    plain = np.array([[0.90, 0.92], [0.80, 0.82]]), np.array([0.99, 0.98])
    better = np.array([[0.93, 0.95], [0.81, 0.81]]), np.array([0.98, 0.98])
    assert line("plain", plain, None).split(" | ")[1:3] == ["86.00 ± 7.07 %", "85.00%"]
    # gains of 3 and 0 points: mean 1.5, deviation 3 / √2
    assert line("x", better, plain).split(" | ")[3] == "+1.50 ± 2.12"
    assert line("x", better, plain).endswith("| 98.00% |")


@pytest.mark.parametrize("gain", [0.01, -0.01])
def test_a_fold_is_better_only_if_its_mean_is(gain):
    plain = np.full((5, 8), 0.9), np.ones(5)
    found = plain[0] + gain, plain[1]
    assert f"| {5 if gain > 0 else 0} of 5 |" in line("x", found, plain)
