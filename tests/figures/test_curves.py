import json

import numpy as np
import pytest

from mnist_core.figures.curves import Curve, curve_figure, curve_spec, mark_layout, overlay_figure
from mnist_core.figures.smoothing import downsample, smooth
from mnist_core.figures.style import COLOURS, DASHES, SYMBOLS, TRAIN, VALIDATION, key
from tests.helpers import strict_json


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
def test_downsampling_averages_neighbours_and_keeps_the_ends(count):
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
def test_downsampling_keeps_the_first_and_last_x(count):
    x = np.arange(1, count + 1)
    fewer, _ = downsample(x, np.ones(count), most=400)
    assert fewer[-1] == count
    assert fewer[0] == 1


def test_curves_have_one_line_each_the_earlier_runs_beneath():
    x = np.arange(1, 101) / 50
    given = [
        Curve("training", 0, x, 1 / x),
        Curve("validation", 0, [1, 2], [0.5, 0.25], "validation"),
        Curve("before", 1, x, 2 / x),
        Curve("long ago", 2, x, 3 / x),
    ]
    lines = strict_json(curve_figure(given, "Loss", epochs=5).to_json())["data"]
    assert [line["name"] for line in lines] == ["long ago", "before", "training", "validation"]
    assert [line["line"]["color"] for line in lines[2:]] == [TRAIN, VALIDATION]
    assert len({line["line"]["color"] for line in lines}) == 4
    figure = curve_figure(given, "Loss", epochs=5)
    assert list(figure.data[3].x) == [1, 2]
    assert list(figure.data[3].y) == [0.5, 0.25]
    np.testing.assert_allclose(figure.data[2].y, smooth(1 / x), atol=1e-5)


@pytest.mark.parametrize("epochs", [1, 30])
def test_the_x_axis_spans_the_whole_training_from_the_start(epochs):
    for curves in ([], [Curve("training", 0, [], [])], [Curve("training", 0, [0.1], [2.0])]):
        layout = strict_json(curve_figure(curves, "Loss", epochs=epochs).to_json())["layout"]
        assert layout["xaxis"]["range"] == [0, epochs]
        assert layout["title"]["text"] == "Loss"


def test_a_percent_axis_begins_near_the_lowest_value_shown():
    high = curve_figure([Curve("v", 0, [1, 2], [0.98, 0.99], "validation")], "Accuracy", 2, percent=True)
    low = curve_figure([Curve("v", 0, [1, 2], [0.3, 0.5], "validation")], "Accuracy", 2, percent=True)
    for figure, floor in ((high, 0.88), (low, 0.3)):
        bottom, top = figure.layout.yaxis.range
        assert bottom == pytest.approx(floor, abs=0.021)
        assert top > 1
        assert figure.layout.yaxis.tickformat == ".0%"
    assert strict_json(curve_figure([Curve("v", 0, [], [])], "Accuracy", 2, percent=True).to_json())["layout"]["yaxis"]


def test_a_mark_is_a_dotted_line_with_a_label():
    marks = [(0.5, "lr 0.01 → 0.001"), (1.9, "dropout 0 → 0.5")]
    for percent in (False, True):
        figure = curve_figure([Curve("training", 0, [1, 2], [1, 2])], "Loss", 2, percent, marks)
        layout = strict_json(figure.to_json())["layout"]
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


# how severe colour deficiencies see linear RGB: Machado, Oliveira and Fernandes (2009)
VISION = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}


TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(colour: str) -> np.ndarray:
    values = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """Linear RGB → CIELAB under D65."""
    x, y, z = np.cbrt(TO_XYZ @ np.clip(rgb, 0, 1) / [0.9505, 1.0, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", VISION)
def test_colours_are_told_apart_with_any_colour_vision(vision):
    seen = [lab(np.array(VISION[vision]) @ linear(colour)) for colour in COLOURS]
    distances = [np.linalg.norm(a - b) for i, a in enumerate(seen) for b in seen[:i]]
    assert min(distances) > 15  # 2.3 is a just noticeable difference


@pytest.mark.parametrize("ground", ["#ffffff", "#0e1117"])
def test_colours_stand_out_from_a_light_and_a_dark_page(ground):
    behind = (TO_XYZ @ linear(ground))[1] + 0.05
    for colour in COLOURS:
        front = (TO_XYZ @ linear(colour))[1] + 0.05
        assert max(front / behind, behind / front) > 2.2


def lines() -> list[Curve]:
    x, y = np.arange(1, 101), np.random.default_rng(0).random(100) + 0.1
    return [
        Curve("one", 0, x, y, "train", 10),
        Curve("one", 0, [50, 100], [0.5, 0.4], "validation"),
        Curve("two", 1, x, y + 1, "train", 10),
        Curve("two", 1, [50, 100], [0.6, 0.3], "validation"),
    ]


def test_raw_is_faint_and_smoothed_is_strong():
    figure = overlay_figure(lines(), "Loss", "step")
    faint = [trace for trace in figure.data if trace.opacity == 0.35]
    strong = [trace for trace in figure.data if trace.mode == "lines" and trace.opacity is None]
    assert [trace.name for trace in faint] == [trace.name for trace in strong] == ["one", "two"]
    assert faint[0].line.width < strong[0].line.width
    np.testing.assert_allclose(faint[0].y, lines()[0].y, atol=1e-6)
    np.testing.assert_allclose(strong[0].y, smooth(lines()[0].y, 10), atol=1e-6)


def test_each_run_has_its_colour_and_marker_in_the_legend_too():
    figure = overlay_figure(lines(), "Loss", "step")
    for place, name in enumerate(("one", "two")):
        own = [trace for trace in figure.data if trace.name == name]
        assert len(own) == 3
        assert {trace.line.color for trace in own} == {COLOURS[place]} == {key(place)[0]}
        assert {SYMBOLS[trace.marker.symbol] for trace in own} == {key(place)[1][1]}
    assert len({key(place) for place in range(len(COLOURS) * len(DASHES))}) == 18


def test_without_smoothing_curves_are_as_measured():
    plain = [Curve(line.name, line.place, line.x, line.y, line.kind, 1) for line in lines()]
    figure = overlay_figure(plain, "Loss", "step")
    assert len(figure.data) == 4
    validation = [trace for trace in figure.data if trace.mode == "lines+markers"]
    assert [list(trace.y) for trace in validation] == [[0.5, 0.4], [0.6, 0.3]]
    assert {trace.line.dash for trace in validation} == {"dot"}


def test_axes_are_as_asked_and_the_figure_is_plain_json():
    figure = overlay_figure(lines(), "Accuracy", "seconds of training", percent=True, log=True)
    assert (figure.layout.yaxis.type, figure.layout.yaxis.tickformat) == ("log", ".0%")
    assert figure.layout.xaxis.title.text == "seconds of training"
    assert overlay_figure([], "Loss", "step").layout.yaxis.type is None
    json.loads(figure.to_json(), parse_constant=lambda text: pytest.fail(f"{text} is no JSON"))


def test_long_curves_are_drawn_with_some_400_points():
    x = np.arange(20_000)
    figure = overlay_figure([Curve("long", 7, x, x / 1000.0, "train", 5)], "Loss", "step")
    assert [len(trace.x) for trace in figure.data] == [400, 400]
    assert figure.data[0].line.color == COLOURS[1]


def test_a_loss_of_zero_is_marked_at_the_bottom_of_a_log_axis():
    curves = [Curve("perfect", 1, [1, 2, 3, 4], [0.4, 0.0, 0.2, 0.0], "train", 1)]
    *_, zeros = overlay_figure(curves, "Loss", "step", log=True).data
    assert (zeros.mode, list(zeros.x), zeros.marker.color) == ("markers", [2, 4], COLOURS[1])
    assert max(zeros.y) < 0.2
    assert min(zeros.y) > 0
    assert "0 (below the scale)" in zeros.hovertemplate
    assert len(overlay_figure(curves, "Loss", "step").data) == 1  # a linear axis has a 0


def test_a_loss_that_is_always_zero_is_marked_too():
    *_, zeros = overlay_figure([Curve("all", 0, range(5000), [0.0] * 5000, window=1)], "Loss", "step", log=True).data
    assert len(zeros.x) == 100
    assert (zeros.y > 0).all()
