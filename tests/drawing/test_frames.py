"""Frames and lines around, under and through a digit are set aside; strokes that look like them stay."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from benchmarks.pictures import FRAMES, STYLES, framed
from mnist_core.drawing.frames import without_frames
from mnist_core.drawing.preprocess import find_ink, to_model_input
from mnist_core.drawing.strokes import european_one, render_strokes
from mnist_core.inference.predictor import Predictor
from tests.helpers.drawing import DIGITS, canvas, likeness


@pytest.mark.parametrize("kind", FRAMES)
def test_a_digit_with_lines_is_read_as_without(kind):
    pen, rng = Predictor("pen"), np.random.default_rng(1)
    pictures = [(digit, framed(DIGITS[digit], kind, style, rng, "down")) for digit in DIGITS for style in STYLES[:1]]
    right = [pen.predict(picture).digit == digit for digit, picture in pictures]
    assert np.mean(right) >= (0.6 if kind == "touched box" else 0.9)  # straight strokes lie on its sides


@pytest.mark.parametrize("style", STYLES)
def test_lines_in_every_style_are_set_aside(style):
    rng = np.random.default_rng(2)
    for kind in ("printed box", "row of cells", "underlined"):
        picture, plain = (framed(DIGITS[4], k, style, np.random.default_rng(3), "down") for k in (kind, "none"))
        assert likeness(to_model_input(picture), to_model_input(plain)) > (0.8 if style == "turned" else 0.93)
    assert framed(DIGITS[4], "ruled", style, rng, "down").dtype == np.uint8


@pytest.mark.parametrize("digit", DIGITS)
def test_a_drawing_without_a_frame_is_left_bit_for_bit(digit):
    for brush in (6, 14, 26):
        for height in (0.3, 0.7, 0.95):
            ink = find_ink(render_strokes(DIGITS[digit], (100, 100), brush=brush, height=height)).pixels
            rows, columns = np.nonzero(ink > 0.2)
            tight = ink[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
            assert without_frames(ink) is ink
            assert without_frames(tight) is tight


@pytest.mark.parametrize("foot", [0.3, 0.6])
@pytest.mark.parametrize("brush", [8, 24])
def test_the_foot_of_a_one_is_no_underline(foot, brush):
    ink = find_ink(render_strokes(european_one(0.35, foot), (1, 1), brush=brush)).pixels
    assert without_frames(ink) is ink


@pytest.mark.parametrize("rise", [-8, 0, 8])
@pytest.mark.parametrize("reach", [30, 38])
def test_the_wide_base_of_a_two_is_no_underline(reach, rise):
    (stroke,) = DIGITS[2]
    ink = canvas([[*stroke[:-2], [4 - reach, 98 + rise], [62 + reach, 98]]]) / np.float32(255)
    assert without_frames(ink) is ink


@pytest.mark.parametrize("height", [0.9, 1.0])
def test_the_stem_of_a_four_from_edge_to_edge_is_no_ruled_line(height):
    four = [[[36, 0], [2, 55], [95, 55]], [[40, 0], [34, 100]]]
    ink = canvas(four, height=height) / np.float32(255)
    assert without_frames(ink) is ink


def ring(ink: np.ndarray, box: tuple[int, int, int, int], width: int) -> np.ndarray:
    picture = Image.fromarray(ink.copy())
    ImageDraw.Draw(picture).ellipse(box, outline=255, width=width)
    return np.asarray(picture)


def test_a_slashed_zero_is_no_circle_around_a_one():
    slash = canvas([[[0, 100], [40, 0]]], brush=14, height=0.3)
    ink = ring(slash, (85, 40, 195, 240), 14) / np.float32(255)
    assert without_frames(ink) is ink


def test_a_ring_around_a_digit_is_a_frame():
    drawn = canvas(DIGITS[5], brush=12, height=0.35)
    framed_ink = ring(drawn, (50, 50, 230, 230), 8)
    assert likeness(to_model_input(framed_ink), to_model_input(drawn)) > 0.99


def test_a_rectangle_with_a_bar_is_an_eight():
    ink = np.zeros((280, 280), np.float32)
    ink[40:240, 80:200] = 1
    ink[56:132, 96:184] = ink[148:224, 96:184] = 0
    assert without_frames(ink) is ink


def test_nothing_is_left_of_lines_alone():
    lines = np.zeros((280, 280), np.float32)
    lines[100:104] = lines[200:204] = lines[:, 50:54] = 1
    assert without_frames(lines) is lines


@pytest.mark.parametrize("shape", [(48, 48), (48, 400), (400, 49), (20, 20), (1, 1)])
def test_ink_of_every_size_is_taken(shape):
    random = np.random.default_rng(0)
    for ink in (np.zeros(shape), np.ones(shape), random.random(shape), random.random(shape) < 0.1):
        assert without_frames(ink.astype(np.float32)).shape == shape
