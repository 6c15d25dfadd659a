"""The figure of a map: which points, colours, symbols and words it has."""

import numpy as np
import pytest

from mnist_core.figures.projection import COLOURS, MISTAKE, SYMBOLS, class_colour, projection_figure

CLASSES = ["zero", "one", "two"]
POINTS = np.array([[0, 0], [1, 0], [0, 1], [5, 5], [6, 5]], np.float32)
LABELS, PREDICTED = np.array([0, 0, 1, 1, 2]), np.array([0, 0, 1, 2, 2])
CONFIDENCE = np.array([0.9, 0.8, 0.7, 0.6, 1.0])


def figure(**settings):
    return projection_figure(POINTS, LABELS, PREDICTED, CONFIDENCE, CLASSES, **settings)


def shown(trace) -> dict[int, tuple[float, float]]:
    """Row → place of every image of a trace."""
    places = zip(np.asarray(trace.x).tolist(), np.asarray(trace.y).tolist(), strict=True)
    return dict(zip(np.asarray(trace.customdata)[:, 0].astype(int).tolist(), places, strict=True))


def images(found):
    return [trace for trace in found.data if trace.customdata is not None]


def test_every_image_is_a_point_at_its_place():
    places = {row: place for trace in images(figure()) for row, place in shown(trace).items()}
    assert places == {row: tuple(place) for row, place in enumerate(POINTS.tolist())}
    assert {trace.type for trace in figure().data} == {"scattergl"}


@pytest.mark.parametrize(("by_prediction", "group"), [(False, "one"), (True, "two")])
def test_colours_are_those_of_labels_or_predictions(by_prediction, group):
    found = images(figure(by_prediction=by_prediction))
    assert {(trace.name, trace.marker.color) for trace in found} == {
        (name, class_colour(index)) for index, name in enumerate(CLASSES)
    }
    (mistake,) = [trace for trace in found if trace.marker.symbol == MISTAKE]
    assert (mistake.name, list(shown(mistake))) == (group, [3])
    assert found[-1] is mistake  # in front of all others
    assert sorted(trace.name for trace in found if trace.showlegend) == sorted(CLASSES)


def test_a_point_says_its_row_label_prediction_and_confidence():
    rows = np.array([10, 20, 30, 40, 50])
    found = {tuple(shown(trace)): trace for trace in images(figure(rows=rows))}
    assert (
        found[10, 20].hovertemplate == "%{customdata[0]}: zero, read as zero, %{customdata[1]:.1%} sure<extra></extra>"
    )
    assert found[40,].hovertemplate.startswith("%{customdata[0]}: one, read as two, ")
    np.testing.assert_allclose(np.asarray(found[10, 20].customdata)[:, 1], [0.9, 0.8])


def test_mistakes_of_several_kinds_each_say_their_own():
    labels, predicted = np.array([0, 0, 0]), np.array([1, 2, 1])
    found = projection_figure(POINTS[:3], labels, predicted, CONFIDENCE[:3], CLASSES)
    assert list(images(found)[0].text) == ["zero, read as one", "zero, read as two", "zero, read as one"]


def test_names_stand_at_the_median_of_their_class():
    notes = {note.text: (note.x, note.y) for note in figure().layout.annotations}
    assert notes == {"<b>zero</b>": (0.5, 0), "<b>one</b>": (2.5, 3), "<b>two</b>": (6, 5)}


def test_what_is_not_selected_fades():
    selected = np.array([True, False, False, True, False])
    found = images(figure(selected=selected))
    kept = {list(shown(trace))[place] for trace in found for place in trace.selectedpoints}
    assert kept == {0, 3}
    assert all(trace.unselected.marker.opacity < 0.3 for trace in found)
    assert all(trace.selectedpoints is None for trace in images(figure()))


def test_the_drawing_is_a_star_within_the_axes():
    found = figure(drawing=np.array([9, -3], np.float32))
    (star,) = [trace for trace in found.data if trace.name == "Your drawing"]
    assert (star.marker.symbol, star.x, star.y) == ("star", (9.0,), (-3.0,))
    assert found.layout.xaxis.range[1] > 9
    assert found.layout.yaxis.range[0] < -3


def test_an_extent_keeps_the_axes():
    extent = np.array([[-10, -20], [10, 20]])
    first, second = (
        projection_figure(points, LABELS, PREDICTED, CONFIDENCE, CLASSES, extent=extent).layout
        for points in (POINTS, POINTS * 0.1)
    )
    assert first.xaxis.range == second.xaxis.range
    assert first.yaxis.range == second.yaxis.range
    assert first.xaxis.range[0] < -10 < 10 < first.xaxis.range[1]
    # or Plotly would fit the axes to the names, as it does not know of the points that the page draws
    assert [(axis.autorange, axis.fixedrange) for axis in (first.xaxis, first.yaxis)] == [(False, True)] * 2


def test_no_two_of_47_classes_look_alike():
    labels = np.arange(47)
    points = np.random.default_rng(0).normal(size=(47, 2)).astype(np.float32)
    found = projection_figure(points, labels, labels, np.ones(47), [f"c{n}" for n in range(47)])
    looks = {(trace.marker.color, trace.marker.symbol) for trace in found.data}
    assert len(looks) == 47
    assert MISTAKE not in SYMBOLS
    assert len(set(COLOURS)) == len(COLOURS)


def test_names_are_text_and_no_markup():
    found = projection_figure(POINTS, LABELS, PREDICTED, CONFIDENCE, ["<b>", "%{x}", "a&b"])
    said = " ".join(trace.hovertemplate + " ".join(trace.text or ()) for trace in images(found))
    assert "<b>" not in said
    assert "%{x}" not in said
    assert "&amp;" in said


def test_a_long_name_is_cut_in_the_legend_and_whole_at_the_point():
    names = ["a very long name of a class", "one", "two"]
    found = projection_figure(POINTS, LABELS, PREDICTED, CONFIDENCE, names)
    first = images(found)[0]
    assert first.name == "a very…class"
    assert f"{names[0]}, read as {names[0]}" in first.hovertemplate
