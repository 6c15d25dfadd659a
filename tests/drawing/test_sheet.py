"""Paper that is more than a plain ground: squares are printed on it, or it lies on a dark table."""

import numpy as np
import pytest
from PIL import Image

from benchmarks.papers import squared
from mnist_core.drawing.preprocess import _noise, to_model_input
from mnist_core.drawing.sheet import cut_out_sheet, without_grid
from tests.helpers.drawing import canvas, likeness


def on_table(drawn: np.ndarray, table: int, share: float, angle: float) -> np.ndarray:
    """(H, W) uint8 white on black → a photo of dark ink on a sheet that takes that share of it."""
    side = int(len(drawn) / share**0.5)
    sheet = Image.fromarray((230 - (drawn / 255) * 190).astype(np.uint8))
    mask = Image.new("L", sheet.size, 255).rotate(angle, expand=True)
    turned = sheet.rotate(angle, expand=True)
    photo = Image.new("L", (max(side, turned.width), max(side, turned.height)), table)
    photo.paste(turned, ((photo.width - turned.width) // 2, (photo.height - turned.height) // 2), mask)
    light = np.linspace(0.85, 1, photo.width)
    noise = np.random.default_rng(1).normal(0, 3, (photo.height, photo.width))
    return np.clip(np.asarray(photo) * light + noise, 0, 255).astype(np.uint8)


def drawing(side: int, brush: float, height: float = 0.6) -> np.ndarray:
    return canvas(canvas=side, brush=brush, height=height)


@pytest.mark.parametrize("noise", [0, 3])
@pytest.mark.parametrize("line", [110, 150, 185])
@pytest.mark.parametrize(("apart", "width"), [(30, 2), (45, 3), (60, 3)])
def test_a_digit_on_squared_paper_is_read_as_on_plain(apart, width, line, noise):
    drawn = drawing(400, 22)
    assert (
        likeness(
            to_model_input(squared(drawn, apart, line, width, noise, np.random.default_rng(0))), to_model_input(drawn)
        )
        > 0.9
    )


@pytest.mark.parametrize("angle", [-10, -5, -2, 3, 7, 10])
@pytest.mark.parametrize("line", [110, 185])
def test_a_digit_on_turned_squared_paper_is_read_as_on_plain(line, angle):
    drawn = drawing(400, 22)
    picture = squared(drawn, 40, line, 3, 2, np.random.default_rng(0), angle)
    turned = np.asarray(Image.fromarray(drawn).rotate(-angle, Image.Resampling.BILINEAR))
    assert likeness(to_model_input(picture), to_model_input(turned)) > 0.9
    blank = squared(np.zeros((400, 400), np.uint8), 40, line, 3, 0, np.random.default_rng(0), angle)
    assert to_model_input(blank) is None


@pytest.mark.parametrize("deviation", [5, 20, 60])
def test_noise_has_no_squares(deviation):
    noise = np.random.default_rng(0).normal(128, deviation, (400, 400)).clip(0, 255).astype(np.float32)
    assert without_grid(noise, _noise(noise)) is noise


@pytest.mark.parametrize("line", [110, 185])
def test_squared_paper_without_a_digit_is_blank(line):
    assert to_model_input(squared(np.zeros((400, 400)), 40, line, 3, 0, np.random.default_rng(0))) is None


@pytest.mark.parametrize("angle", [0, 7])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.8])
@pytest.mark.parametrize("table", [20, 110])
def test_a_digit_on_a_sheet_on_a_table_is_read(table, share, angle):
    drawn = drawing(420, 24)
    photo = on_table(drawn, table, share, angle)
    turned = np.asarray(Image.fromarray(drawn).rotate(angle))
    assert likeness(to_model_input(photo), to_model_input(turned)) > 0.9


def test_drawings_and_plain_paper_have_neither_sheet_nor_squares():
    for brush, height in ((12, 0.4), (20, 0.7), (36, 0.95)):
        drawn = canvas(brush=brush, height=height).astype(np.float32)
        for picture in (drawn, 255 - drawn):
            assert cut_out_sheet(picture) is None
            assert without_grid(picture, 0.0) is picture


def test_a_filled_shape_is_no_sheet():
    block = np.zeros((280, 280), np.float32)
    block[60:220, 60:220] = 255
    assert cut_out_sheet(block) is None  # there is no ink on it
    y, x = np.mgrid[:280, :280] - 140
    ring = np.where((np.hypot(x, y) < 110) & (np.hypot(x, y) > 45), 255, 0).astype(np.float32)
    assert cut_out_sheet(ring) is None  # a thick 0


def test_every_level_and_size_of_picture_is_taken():
    random = np.random.default_rng(2)
    for shape in ((1, 1), (1, 400), (40, 40), (41, 400), (400, 263)):
        for picture in (np.zeros(shape), np.full(shape, 255), random.uniform(0, 255, shape)):
            cut_out_sheet(picture.astype(np.float32))
            without_grid(picture.astype(np.float32), 1.0)
