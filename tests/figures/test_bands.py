"""Means over trainings with their bands, against numpy."""

import numpy as np
import pytest

from mnist_core.figures.bands import Band, seed_band
from mnist_core.figures.curves import band_figure, curve_spec, overlay_figure
from mnist_core.figures.smoothing import averaged, smooth
from mnist_core.figures.style import COLOURS, TRAIN, VALIDATION
from tests.helpers import strict_json


def test_a_band_is_the_mean_and_one_standard_deviation_around_it():
    figure = band_figure([Band("a", 0, [1, 2], np.array([[1.0, 4.0], [3.0, 4.0]]))], "Loss", "epoch")
    area, line = figure.data
    assert list(line.y) == [2.0, 4.0]
    spread = np.sqrt(2)  # of 1 and 3, with n - 1 in the denominator
    np.testing.assert_allclose(area.x, [1, 2, 2, 1])
    np.testing.assert_allclose(area.y, [2 + spread, 4, 4, 2 - spread], atol=1e-5)
    assert (area.fillcolor, line.line.color) == ("rgba(0, 114, 178, 0.18)", "#0072B2")


def test_a_single_run_has_no_band_and_the_seventh_is_dashed():
    figure = band_figure([Band("a", 6, [1, 2], np.array([[1.0, 4.0]]))], "Loss", "epoch")
    area, line = figure.data
    assert list(area.y) == [1.0, 4.0, 4.0, 1.0]
    assert (line.line.color, line.line.dash) == (COLOURS[0], "dash")


def test_on_a_log_axis_a_band_stays_above_nothing():
    figure = band_figure([Band("a", 0, [1], np.array([[0.1], [3.9]]))], "Loss", "epoch", log=True)
    assert figure.layout.yaxis.type == "log"
    assert min(figure.data[0].y) == pytest.approx(0.02)


# ---- trainings of unequal length ------------------------------------------------------------------------------------


def test_a_mean_is_over_those_that_came_so_far():
    band = seed_band("v", 0, [([1, 2, 3], [0.2, 0.4, 0.9]), ([1, 2], [0.6, 0.8]), ([], [])], "validation")
    np.testing.assert_allclose(band.mean, [0.4, 0.6, 0.9])
    np.testing.assert_allclose(band.std, [np.std([0.2, 0.6], ddof=1), np.std([0.4, 0.8], ddof=1), 0])
    assert band.count.tolist() == [2, 2, 1]


def test_training_lines_are_smoothed_before_the_mean():
    one, two = np.random.default_rng(0).random((2, 60))
    band = seed_band("t", 0, [(np.arange(60), one), (np.arange(60), two)], "train", window=10)
    np.testing.assert_allclose(band.curves, [smooth(one, 10), smooth(two, 10)])


def test_without_a_common_clock_curves_are_interpolated():
    x, rows = averaged([([1.0, 2.0, 3.0], [0.0, 1.0, 2.0]), ([1.5, 2.5], [10.0, 20.0])])
    assert x.tolist() == [1.0, 2.0, 3.0]
    np.testing.assert_allclose(rows, [[0, 1, 2], [np.nan, 15, np.nan]])


def test_long_trainings_keep_some_400_places_and_their_means():
    y = np.random.default_rng(1).random(20_000)
    x, rows = averaged([(np.arange(20_000), y)] * 2, window=5)
    assert rows.shape == (2, 400)
    assert (x[0], x[-1]) == (0, 19_999)
    np.testing.assert_allclose(rows[0], smooth(y, 50)[x.astype(int)])


def test_nothing_measured_is_an_empty_band():
    empty = seed_band("t", 0, [([], []), ([], [])])
    assert (len(empty.mean), len(empty.std)) == (0, 0)
    figure = curve_spec([empty], "Loss", 2)
    assert [len(trace["y"]) for trace in figure["data"]] == [0, 0]
    assert len(overlay_figure([empty], "Loss", "step").data) == 2


# ---- in the charts --------------------------------------------------------------------------------------------------


def test_the_chart_of_a_training_draws_bands_behind_means():
    bands = [seed_band(kind, 0, [([1, 2], [0.5, 0.7]), ([1, 2], [0.7, 0.9])], kind) for kind in ("train", "validation")]
    figure = curve_spec(bands, "Accuracy", 2, percent=True)
    assert [trace["name"] for trace in figure["data"]] == ["train band", "train", "validation band", "validation"]
    assert [trace["line"]["color"] for trace in figure["data"][1::2]] == [TRAIN, VALIDATION]
    assert [trace["showlegend"] for trace in figure["data"][::2]] == [False, False]
    assert all("customdata" not in trace for trace in figure["data"])  # of it each figure would be drawn anew


def test_the_loss_axis_has_room_for_the_band():
    (low, high) = curve_spec([seed_band("t", 0, [([1], [1.0]), ([1], [3.0])])], "Loss", 1)["layout"]["yaxis"]["range"]
    assert (low, high) == (0, pytest.approx(4.0))  # 2 + √2 and some air


def test_a_comparison_tells_how_many_seeds_a_mean_is_of():
    band = seed_band("a", 1, [([1, 2], [0.5, 0.7]), ([1], [0.7])], "validation")
    area, line = overlay_figure([band], "Accuracy", "epoch", percent=True).data
    assert area.fillcolor.startswith("rgba(213, 94, 0")
    assert line.line.color == COLOURS[1]
    np.testing.assert_allclose(line.customdata, [[np.std([0.5, 0.7], ddof=1), 2], [0, 1]])
    strict_json(overlay_figure([band], "Accuracy", "epoch").to_json())
