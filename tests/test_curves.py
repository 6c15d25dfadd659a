import numpy as np
import pytest

from mnist_core.figures.curves import Curve, curve_figure, curve_spec, downsample, mark_layout, smooth
from mnist_core.figures.style import TRAIN, VALIDATION
from tests.test_figures import plain


@pytest.mark.parametrize("window", [1, 3, 25, 100])
def test_smoothing_is_the_mean_over_the_last_window(window):
    y = np.random.default_rng(0).random(80)
    weights = np.ones(window)
    expected = np.convolve(y, weights)[:80] / np.convolve(np.ones(80), weights)[:80]
    np.testing.assert_allclose(smooth(y, window), expected)


def test_smoothing_nothing_is_nothing_and_a_constant_itself():
    assert smooth([]).tolist() == []
    assert smooth([2.5]).tolist() == [2.5]
    np.testing.assert_allclose(smooth([0.3] * 60), 0.3)


def test_few_points_stay_as_they_are():
    x, y = downsample([1, 2, 3], [4, 5, 6], most=3)
    assert (x.tolist(), y.tolist()) == ([1, 2, 3], [4, 5, 6])
    assert [part.tolist() for part in downsample([], [])] == [[], []]


@pytest.mark.parametrize("count", [401, 1000, 12_345])
def test_many_points_become_means_of_neighbours_between_the_same_ends(count):
    rng = np.random.default_rng(0)
    x, y = np.linspace(0.01, 5, count), rng.random(count)
    fewer_x, fewer_y = downsample(x, y, most=400)
    assert len(fewer_x) == len(fewer_y) <= 400
    assert np.all(np.diff(fewer_x) > 0)
    assert set(fewer_x) <= set(x)
    # each value is the mean from behind the last place up to its own: nothing is lost or counted twice
    ends = np.searchsorted(x, fewer_x) + 1
    for index in range(2, len(ends)):
        assert fewer_y[index] == pytest.approx(y[ends[index - 1] : ends[index]].mean())
    assert fewer_y.mean() == pytest.approx(y.mean(), abs=0.01)


@pytest.mark.parametrize("count", [401, 1000])
def test_downsampling_keeps_the_first_and_the_last_place(count):
    x = np.arange(1, count + 1)
    fewer, _ = downsample(x, np.ones(count), most=400)
    assert fewer[-1] == count
    assert fewer[0] == 1


def test_curves_have_one_line_each_the_earlier_runs_beneath():
    x = np.arange(1, 101) / 50
    given = [
        Curve("training", x, 1 / x),
        Curve("validation", [1, 2], [0.5, 0.25], "validation"),
        Curve("before", x, 2 / x, earlier=1),
        Curve("long ago", x, 3 / x, earlier=2),
    ]
    lines = plain(curve_figure(given, "Loss", epochs=5))["data"]
    assert [line["name"] for line in lines] == ["long ago", "before", "training", "validation"]
    assert [line["line"]["color"] for line in lines[2:]] == [TRAIN, VALIDATION]
    assert len({line["line"]["color"] for line in lines}) == 4
    figure = curve_figure(given, "Loss", epochs=5)
    assert list(figure.data[3].x) == [1, 2]
    assert list(figure.data[3].y) == [0.5, 0.25]
    np.testing.assert_allclose(figure.data[2].y, smooth(1 / x), atol=1e-5)


@pytest.mark.parametrize("epochs", [1, 30])
def test_the_x_axis_spans_the_whole_training_from_the_start(epochs):
    for curves in ([], [Curve("training", [], [])], [Curve("training", [0.1], [2.0])]):
        layout = plain(curve_figure(curves, "Loss", epochs=epochs))["layout"]
        assert layout["xaxis"]["range"] == [0, epochs]
        assert layout["title"]["text"] == "Loss"


def test_percentages_end_above_one_and_begin_near_the_lowest_shown():
    high = curve_figure([Curve("v", [1, 2], [0.98, 0.99], "validation")], "Accuracy", 2, percent=True)
    low = curve_figure([Curve("v", [1, 2], [0.3, 0.5], "validation")], "Accuracy", 2, percent=True)
    for figure, floor in ((high, 0.88), (low, 0.3)):
        bottom, top = figure.layout.yaxis.range
        assert bottom == pytest.approx(floor, abs=0.021)
        assert top > 1
        assert figure.layout.yaxis.tickformat == ".0%"
    assert plain(curve_figure([Curve("v", [], [])], "Accuracy", 2, percent=True))["layout"]["yaxis"]


def test_a_mark_is_a_dotted_line_with_its_label_where_it_happened():
    marks = [(0.5, "lr 0.01 → 0.001"), (1.9, "dropout 0 → 0.5")]
    for percent in (False, True):
        layout = plain(curve_figure([Curve("training", [1, 2], [1, 2])], "Loss", 2, percent, marks))["layout"]
        assert [(line["x0"], line["x1"], line["line"]["dash"]) for line in layout["shapes"]] == [
            (0.5, 0.5, "dot"),
            (1.9, 1.9, "dot"),
        ]
        assert [(label["x"], label["text"]) for label in layout["annotations"]] == marks
        # each towards the middle of the picture, and neighbours not on one level
        assert [label["xanchor"] for label in layout["annotations"]] == ["left", "right"]
        assert len({label["y"] for label in layout["annotations"]}) == 2


def test_without_marks_nothing_is_added():
    assert mark_layout([], 1.0) == {}
    assert "shapes" not in curve_spec([], "Loss", 1)["layout"]
