import numpy as np
import plotly.graph_objects as go
import pytest

from mnist_core.figures.classification import confusion_figure, probability_bars
from mnist_core.figures.style import HIGHLIGHT, QUIET
from tests.helpers import strict_json

CONFUSION = np.array([[50, 2, 0], [1, 1039, 0], [0, 5, 0]])
CLASSES = ["zero", "one", "two"]


@pytest.mark.parametrize("chosen", [1, None])
def test_the_chosen_bar_alone_is_in_colour(chosen):
    figure = go.Figure(probability_bars([0.004, 0.96, 0.036], CLASSES, chosen))
    bars = figure.data[0]
    assert list(bars.x) == CLASSES
    np.testing.assert_allclose(bars.y, [0.004, 0.96, 0.036])
    assert list(bars.marker.color) == [HIGHLIGHT if index == chosen else QUIET for index in range(3)]
    assert list(bars.text) == ["", "96%", "4%"]
    assert strict_json(figure.to_json())["layout"]["xaxis"]["type"] == "category"


@pytest.mark.parametrize("normalized", [True, False])
def test_every_cell_says_what_it_counts(normalized):
    cells = strict_json(confusion_figure(CONFUSION, CLASSES, normalized).to_json())["data"][1]
    assert len(cells["customdata"]) == 9
    for index, (true, predicted) in enumerate(cells["customdata"]):
        count, of = int(CONFUSION[true, predicted]), int(CONFUSION[true].sum())
        assert (cells["y"][index], cells["x"][index]) == (CLASSES[true], CLASSES[predicted])
        expected = f"true {CLASSES[true]}, predicted {CLASSES[predicted]}: {count:,} of {of:,} ({count / of:.2%})"
        assert cells["hovertext"][index] == expected
        shown = "" if not count else f"{count / of:.1%}" if normalized else f"{count:,}"
        assert cells["text"][index] == (f"<b>{shown}</b>" if true == predicted else shown)


def test_normalised_rows_add_up_to_one():
    cells = strict_json(confusion_figure(CONFUSION, CLASSES, normalized=True).to_json())["data"][1]
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
        data = strict_json(confusion_figure(confusion, CLASSES, normalized).to_json())["data"]
        assert sum("0.00%" in text for text in data[1]["hovertext"]) >= 6


def test_cells_can_be_selected():
    figure = confusion_figure(CONFUSION, CLASSES)
    assert figure.layout.clickmode == "event+select"
    assert figure.data[1].marker.symbol == "square"
    # the first row is on top, as in every book
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]
