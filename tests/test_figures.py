import json

import numpy as np
import plotly.graph_objects as go
import pytest

from mnist_core.figures.classification import confusion_figure, probability_bars
from mnist_core.figures.dataset import count_figure, held_out_figure, level_figure
from mnist_core.figures.images import as_picture, enlarge
from mnist_core.figures.style import HIGHLIGHT, QUIET, TRAIN, VALIDATION

CONFUSION = np.array([[50, 2, 0], [1, 1039, 0], [0, 5, 0]])
CLASSES = ["zero", "one", "two"]


def plain(figure) -> dict:
    """What a browser gets: strict JSON."""

    def refuse(text: str) -> None:
        raise AssertionError(f"{text} is no JSON")

    return json.loads(figure.to_json(), parse_constant=refuse)


# ---- bars -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chosen", [1, None])
def test_the_chosen_bar_alone_is_in_colour(chosen):
    figure = go.Figure(probability_bars([0.004, 0.96, 0.036], CLASSES, chosen))
    bars = figure.data[0]
    assert list(bars.x) == CLASSES
    np.testing.assert_allclose(bars.y, [0.004, 0.96, 0.036])
    assert list(bars.marker.color) == [HIGHLIGHT if index == chosen else QUIET for index in range(3)]
    assert list(bars.text) == ["", "96%", "4%"]
    assert plain(figure)["layout"]["xaxis"]["type"] == "category"


# ---- confusion ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("normalized", [True, False])
def test_every_cell_says_what_it_counts(normalized):
    cells = plain(confusion_figure(CONFUSION, CLASSES, normalized))["data"][1]
    assert len(cells["customdata"]) == 9
    for index, (true, predicted) in enumerate(cells["customdata"]):
        count, of = int(CONFUSION[true, predicted]), int(CONFUSION[true].sum())
        assert (cells["y"][index], cells["x"][index]) == (CLASSES[true], CLASSES[predicted])
        expected = f"true {CLASSES[true]}, predicted {CLASSES[predicted]}: {count:,} of {of:,} ({count / of:.2%})"
        assert cells["hovertext"][index] == expected
        shown = "" if not count else f"{count / of:.1%}" if normalized else f"{count:,}"
        assert cells["text"][index] == (f"<b>{shown}</b>" if true == predicted else shown)


def test_normalised_rows_add_up_to_one():
    cells = plain(confusion_figure(CONFUSION, CLASSES, normalized=True))["data"][1]
    sums = dict.fromkeys(CLASSES, 0.0)
    for name, text in zip(cells["y"], cells["text"], strict=True):
        sums[name] += float(text.replace("<b>", "").replace("</b>", "").rstrip("%") or 0) / 100
    assert sums == pytest.approx(dict.fromkeys(CLASSES, 1.0), abs=0.0011)


@pytest.mark.parametrize("normalized", [True, False])
def test_colour_is_for_mistakes_alone(normalized):
    heat = confusion_figure(CONFUSION, CLASSES, normalized).data[0]
    z = np.array(heat.z, dtype=float)
    wrong = ~np.eye(3, dtype=bool)
    assert np.isnan(np.diag(z)).all()
    expected = CONFUSION / CONFUSION.sum(axis=1, keepdims=True) if normalized else CONFUSION
    np.testing.assert_allclose(z[wrong], expected[wrong])
    assert heat.zmax == pytest.approx(expected[wrong].max())
    assert heat.zmin == 0


@pytest.mark.parametrize(
    "confusion", [np.zeros((3, 3), int), np.diag([4, 5, 6]), np.array([[3, 0, 0], [0] * 3, [0] * 3])]
)
def test_a_matrix_without_mistakes_or_images_can_be_drawn(confusion):
    for normalized in (True, False):
        data = plain(confusion_figure(confusion, CLASSES, normalized))["data"]
        assert sum("0.00%" in text for text in data[1]["hovertext"]) >= 6


def test_cells_can_be_selected():
    figure = confusion_figure(CONFUSION, CLASSES)
    assert figure.layout.clickmode == "event+select"
    assert figure.data[1].marker.symbol == "square"
    # the first row is on top, as in every book
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]


# ---- a dataset ------------------------------------------------------------------------------------------------------


def test_counts_have_a_bar_per_part_and_class():
    counts = np.array([[50, 40, 3], [5, 4, 0], [10, 9, 1]])
    sent = plain(count_figure(counts, ("training", "validation", "test"), CLASSES))
    assert [bar["name"] for bar in sent["data"]] == ["training", "validation", "test"]
    assert sent["layout"]["barmode"] == "group"
    for bar, row in zip(count_figure(counts, ("a", "b", "c"), CLASSES).data, counts, strict=True):
        assert list(bar.x) == CLASSES
        assert list(bar.y) == row.tolist()
    assert len({bar["marker"]["color"] for bar in sent["data"]}) == 3


def test_held_out_squares_have_the_colour_of_their_part():
    figure = held_out_figure(np.array([[0, 1], [1, np.nan], [0, 0]]), CLASSES)
    squares = figure.data[0]
    assert [colour for _, colour in squares.colorscale] == [TRAIN, VALIDATION]
    assert squares.customdata.tolist() == [
        ["training", "validation"],
        ["validation", "no image"],
        ["training", "training"],
    ]
    assert list(squares.x) == [1, 2]
    assert list(squares.y) == CLASSES
    assert plain(figure)["layout"]["yaxis"]["autorange"] == "reversed"


@pytest.mark.parametrize("channels", [1, 3])
def test_levels_lie_where_their_values_are_and_none_is_lost_to_the_logarithm(channels):
    histogram = np.zeros((channels, 256), int)
    histogram[:, 0], histogram[:, 255] = 1_000_000, 20
    values = np.tile(np.linspace(-0.4, 2.8, 256), (channels, 1))
    figure = level_figure(values, histogram, "value")
    names = [line["name"] for line in plain(figure)["data"]]
    assert names == (["grey"] if channels == 1 else ["red", "green", "blue"])
    bottom, top = (10**end for end in figure.layout.yaxis.range)
    for line in figure.data:
        np.testing.assert_allclose(line.x, values[0], atol=1e-5)
        assert list(line.customdata) == histogram[0].tolist()
        assert (line.y[0], line.y[255]) == (1_000_000, 20)
        # a level without pixels is below the picture, one with some inside
        assert 0 < max(line.y[1:255]) < bottom <= 20
        assert top > 1_000_000
    left, right = figure.layout.xaxis.range
    assert left < -0.4
    assert right > 2.8


# ---- pictures -------------------------------------------------------------------------------------------------------


def test_enlarging_makes_squares_of_pixels():
    assert enlarge(np.array([[1, 2]]), 2).tolist() == [[1, 1, 2, 2], [1, 1, 2, 2]]
    assert enlarge(np.zeros((28, 28, 3), np.uint8)).shape == (196, 196, 3)


def test_pictures_have_their_channels_last_or_none():
    grey = np.arange(6).reshape(1, 2, 3)
    assert as_picture(grey).tolist() == [[0, 1, 2], [3, 4, 5]]
    colour = np.arange(12).reshape(3, 2, 2)
    assert as_picture(colour)[1, 0].tolist() == [2, 6, 10]
