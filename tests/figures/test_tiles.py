import numpy as np
import pytest

from mnist_core.figures.style import HIGHLIGHT
from mnist_core.figures.tiles import (
    MOST_BARS,
    arithmetic_figure,
    columns_for,
    map_picture,
    mosaic,
    picture_figure,
    tile_figure,
    unit_bars,
)
from tests.helpers import strict_json

MAPS = np.random.default_rng(0).normal(size=(7, 4, 5)).astype(np.float32)


def test_tiles_stand_in_order_with_gaps_between():
    whole, corners = mosaic(MAPS, columns=3)
    assert whole.shape == (3 * 5 - 1, 3 * 6 - 1)
    for number, (top, left) in enumerate(corners):
        assert (top // 5, left // 6) == divmod(number, 3)
        np.testing.assert_array_equal(whole[top : top + 4, left : left + 5], MAPS[number])
    assert np.isnan(whole).sum() == whole.size - MAPS.size


@pytest.mark.parametrize("count", [1, 2, 16, 77, 256])
def test_tiles_are_wider_than_high_together(count):
    columns = columns_for(count, 6, 6)
    assert 1 <= columns <= count
    assert columns >= -(-count // columns)


def test_a_picture_of_maps_marks_one_and_has_one_scale():
    maps = np.zeros((2, 3, 3), np.float32)
    maps[0, 1, 1], maps[1, 1, 1] = 2.0, -1.0
    picture = map_picture(maps, marked=1, least=1)
    assert picture.shape == (5, 11, 4)
    assert picture[2, 2].tolist() == [214, 240, 255, 255]  # the largest of both
    assert picture[2, 8].tolist() == [128, 79, 30, 255]  # half of it, below 0
    assert picture[0, 6].tolist() == [0, 200, 140, 255]  # the frame
    assert picture[0, 0, 3] == picture[2, 5, 3] == 0
    assert map_picture(maps, least=100).shape[1] >= 100


def test_every_tile_can_be_selected_and_the_chosen_is_framed():
    figure = tile_figure(MAPS, chosen=4)
    spec = strict_json(figure.to_json())
    assert list(figure.data[1].customdata) == list(range(7))
    assert figure.layout.clickmode == "event+select"
    _, corners = mosaic(MAPS)
    (frame,) = spec["layout"]["shapes"]
    assert (frame["y0"], frame["x0"]) == (corners[4][0] - 0.5, corners[4][1] - 0.5)
    assert (frame["y1"] - frame["y0"], frame["x1"] - frame["x0"]) == (4, 5)
    assert figure.data[1].text[2] == f"map 2: mean {MAPS[2].mean():.3f}, largest {MAPS[2].max():.3f}"
    assert not tile_figure(MAPS).layout.shapes


def test_maps_without_any_answer_can_be_drawn():
    strict_json(tile_figure(np.zeros((3, 1, 1), np.float32), 0).to_json())
    assert map_picture(np.zeros((3, 1, 1), np.float32), 0).shape[2] == 4


def test_a_map_frames_what_a_kernel_lies_on():
    figure = picture_figure(MAPS[0], marked=(-1, 2, 3, 3))
    (frame,) = figure.layout.shapes
    assert (frame.y0, frame.y1, frame.x0, frame.x1) == (-1.5, 1.5, 1.5, 4.5)
    np.testing.assert_allclose(figure.data[0].z, MAPS[0], atol=1e-4)
    assert figure.data[0].zmax == -figure.data[0].zmin == np.abs(MAPS[0]).max()


def test_the_arithmetic_has_its_numbers():
    patch, kernel = np.array([[1.0, 2.0], [0.0, -1.0]]), np.array([[0.5, 0.25], [9.0, 2.0]])
    heat = arithmetic_figure(patch, kernel, patch * kernel).data[0]
    assert np.array(heat.text)[0].tolist() == ["1.00", "2.00", "", "", "0.50", "0.25", "", "", "0.50", "0.50", ""]
    assert np.array(heat.text)[1, -3:].tolist() == ["0.00", "-2.00", ""]
    words = [note.text for note in arithmetic_figure(patch, kernel, patch * kernel).layout.annotations]
    assert words == ["input", "kernel", "products", "<b>×</b>", "<b>=</b>"]


def test_of_many_units_the_strongest_and_the_chosen_are_shown():
    values = np.arange(100.0)
    bars = unit_bars(values, chosen=3).data[0]
    assert len(bars.y) == MOST_BARS
    assert bars.y[0] == 99
    assert bars.customdata[-1] == 3
    assert bars.marker.color[-1] == HIGHLIGHT
    assert list(unit_bars(values[:3], names=["a", "b", "c"]).data[0].x) == ["a", "b", "c"]
