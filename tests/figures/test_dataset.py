import numpy as np
import pytest

from mnist_core.figures.dataset import count_figure, held_out_figure, level_figure
from mnist_core.figures.style import TRAIN, VALIDATION
from tests.helpers import strict_json

CLASSES = ["zero", "one", "two"]


def test_counts_have_a_bar_per_part_and_class():
    counts = np.array([[50, 40, 3], [5, 4, 0], [10, 9, 1]])
    sent = strict_json(count_figure(counts, ("training", "validation", "test"), CLASSES).to_json())
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
    assert strict_json(figure.to_json())["layout"]["yaxis"]["autorange"] == "reversed"


@pytest.mark.parametrize("channels", [1, 3])
def test_the_level_figure_shows_every_level_on_a_log_axis(channels):
    histogram = np.zeros((channels, 256), int)
    histogram[:, 0], histogram[:, 255] = 1_000_000, 20
    values = np.tile(np.linspace(-0.4, 2.8, 256), (channels, 1))
    figure = level_figure(values, histogram, "value")
    names = [line["name"] for line in strict_json(figure.to_json())["data"]]
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
