"""Pictures of every sort → MNIST's geometry, against cases worked out by hand."""

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from mnist_core.data.loading import load_dataset
from mnist_core.drawing import preprocess
from mnist_core.drawing.preprocess import WORK_SIDE, to_model_input
from mnist_core.errors import DrawingError
from tests.helpers.drawing import EIGHT, SEVEN, canvas, likeness


def box(picture: np.ndarray, over: int = 50) -> tuple[int, int]:
    rows, columns = np.nonzero(picture > over)
    return int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1


def mass_centre(picture: np.ndarray) -> tuple[float, float]:
    weights = picture.astype(float) / picture.sum()
    return float(weights.sum(1) @ np.arange(28)), float(weights.sum(0) @ np.arange(28))


def photo(ink: np.ndarray, contrast: float = 0.6, noise: float = 6, seed: int = 0) -> np.ndarray:
    """Dark pen on paper whose light falls from 210 to 110 across the picture, with sensor noise."""
    light = np.linspace(210, 110, ink.shape[1])[None] + np.linspace(0, 20, ink.shape[0])[:, None]
    paper = light * (1 - contrast * ink / 255.0)
    return np.uint8(np.clip(paper + np.random.default_rng(seed).normal(0, noise, ink.shape), 0, 255))


# ---- geometry ---------------------------------------------------------------------------------------------------


def test_a_square_drawn_off_centre_becomes_20_px_at_the_middle():
    picture = np.zeros((280, 280), np.uint8)
    picture[20:60, 200:240] = 255
    out = to_model_input(picture)
    assert out.shape == (28, 28)
    assert out.dtype == np.uint8
    assert box(out) == (20, 20)
    # 20 px have their middle at 9.5 in the box, so that 14 is met to half a pixel
    assert mass_centre(out) == pytest.approx((14, 14), abs=0.51)


@pytest.mark.parametrize("brush", [12, 20, 28])
@pytest.mark.parametrize("height", [0.35, 0.7, 0.9])
@pytest.mark.parametrize("strokes", [SEVEN, EIGHT])
def test_every_pen_and_size_gives_mnist_geometry(strokes, brush, height):
    out = to_model_input(canvas(strokes, brush=brush, height=height))
    assert max(box(out)) in (19, 20)
    assert mass_centre(out) == pytest.approx((14, 14), abs=0.51)
    assert out.max() >= 250


def stroke_width(picture: np.ndarray) -> float:
    """Of a vertical bar: its ink per row, in px."""
    rows = picture[10:18].astype(float) / 255
    return float(rows.sum(1).mean())


@pytest.mark.parametrize("brush", [1, 4, 12])
def test_a_thin_pen_is_thickened_to_mnist_strokes(brush):
    out = to_model_input(canvas([[[0, 0], [0, 100]]], brush=brush, height=0.9))
    assert 1.5 <= stroke_width(out) <= 2.6


def test_a_fat_brush_is_thinned_and_the_loop_stays_open():
    zero = [[[0, 0], [70, 0], [70, 100], [0, 100], [0, 0]]]
    out = to_model_input(canvas(zero, brush=40, height=0.5))
    assert out[12:16, 13:16].min() < 30
    assert (out[14] > 127).sum() <= 9


def test_a_vertical_line_of_one_pixel_is_a_one():
    picture = np.zeros((280, 280), np.uint8)
    picture[40:240, 90] = 255
    out = to_model_input(picture)
    assert box(out)[0] >= 19
    assert box(out)[1] <= 4
    assert out.max() >= 250


@pytest.mark.parametrize("shape", [(1400, 300), (300, 1400), (60, 44), (3000, 2500)])
def test_size_and_shape_of_the_picture_do_not_matter(shape):
    digit = Image.fromarray(canvas(height=0.8))
    side = min(shape)
    picture = np.zeros(shape, np.uint8)
    picture[:side, :side] = np.asarray(digit.resize((side, side)))
    assert likeness(to_model_input(picture), to_model_input(np.asarray(digit))) > 0.9


def test_a_fat_stroke_along_the_border_is_kept():
    picture = np.zeros((280, 280), np.uint8)
    picture[40:240, 255:] = 255
    for form in (picture, 255 - picture):
        assert box(to_model_input(form))[0] >= 19
        assert stroke_width(to_model_input(form)) == pytest.approx(2.5, abs=0.7)


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
def test_a_digit_may_touch_the_border(turn):
    middle, aside = (canvas(EIGHT, brush=28, centre=centre) for centre in ((0.5, 0.5), (0.25, 0.4)))
    assert aside[:, 0].any()
    if turn % 2:
        aside = 255 - aside
    assert likeness(to_model_input(np.rot90(aside, turn)), to_model_input(np.rot90(middle, turn))) > 0.95


# ---- the same digit, whatever carries it --------------------------------------------------------------------------


@pytest.mark.parametrize("strokes", [SEVEN, EIGHT])
@pytest.mark.parametrize("brush", [4, 20, 50])
def test_polarity_does_not_matter(strokes, brush):
    picture = canvas(strokes, brush=brush)
    assert np.abs(to_model_input(picture).astype(int) - to_model_input(255 - picture)).max() <= 1


def test_transparent_opaque_colour_and_float_give_the_same():
    ink = canvas()
    expected = to_model_input(ink)
    white, black = np.full_like(ink, 255), np.zeros_like(ink)
    forms = {
        "RGB": np.dstack([ink] * 3),
        "opaque": np.dstack([ink, ink, ink, white]),
        "white strokes, transparent sheet": np.dstack([white, white, white, ink]),
        "black strokes, transparent sheet": np.dstack([black, black, black, ink]),
        "float": ink / 255.0,
        "(H, W, 1)": ink[:, :, None],
    }
    for name, form in forms.items():
        assert np.abs(to_model_input(form).astype(int) - expected).max() <= 2, name


def test_a_screenshot_with_transparent_corners():
    ink = canvas()
    alpha = np.full_like(ink, 255)
    alpha[:20, :20] = alpha[-20:, -20:] = 0
    picture = np.dstack([ink, ink, ink, alpha])
    picture[alpha == 0, :3] = 0
    assert likeness(to_model_input(picture), to_model_input(ink)) > 0.99


@pytest.mark.parametrize("contrast", [0.3, 0.6])
@pytest.mark.parametrize("turn", [0, 1, 2, 3])
def test_a_photo_with_a_shadow_and_noise(contrast, turn):
    ink = canvas(EIGHT, height=0.6)
    taken = np.rot90(photo(np.rot90(ink, turn), contrast), -turn)
    assert likeness(to_model_input(taken), to_model_input(ink)) > 0.9


def test_specks_and_a_frame_are_left_out():
    picture = 255 - canvas(height=0.6)
    expected = to_model_input(picture)
    for row, column in ((10, 10), (265, 140), (30, 260), (140, 12)):
        picture[row : row + 3, column : column + 3] = 0
    assert likeness(to_model_input(picture), expected) > 0.99
    picture[:3] = picture[-3:] = picture[:, :3] = picture[:, -3:] = 0
    assert likeness(to_model_input(picture), expected) > 0.99


def nothing() -> dict[str, np.ndarray]:
    draw = np.random.default_rng(0)
    return {
        "black": np.zeros((280, 280)),
        "white": np.full((280, 280, 3), 255),
        "transparent": np.zeros((280, 280, 4)),
        "one pixel": np.full((1, 1), 255),
        "no pixel": np.zeros((0, 5)),
        "ramp": np.tile(np.linspace(0, 255, 280), (280, 1)),
        "faint": np.pad(np.full((40, 10), 110), 60, constant_values=100),
        "Gaussian 5": draw.normal(128, 5, (280, 280)),
        "Gaussian 60": draw.normal(128, 60, (280, 280)),
        "Gaussian, small": draw.normal(128, 30, (28, 28)),
        "uniform": draw.uniform(0, 255, (280, 280)),
        "uniform, small": draw.uniform(0, 255, (28, 28)),
        "uniform, large": draw.uniform(0, 255, (1000, 1000)),
        "salt": 255 * (draw.random((280, 280)) < 0.01),
        "empty paper": photo(np.zeros((280, 280))),
    }


@pytest.mark.parametrize("name", nothing())
def test_nothing_drawn_is_none(name):
    assert to_model_input(np.uint8(np.clip(nothing()[name], 0, 255))) is None


def test_a_wrong_shape_is_refused():
    for shape in ((28,), (28, 28, 2), (2, 28, 28, 3)):
        with pytest.raises(DrawingError, match="A drawing is"):
            to_model_input(np.zeros(shape, np.uint8))


@pytest.mark.parametrize(("inset", "thick"), [(0, 3), (2, 3), (14, 4)])
@pytest.mark.parametrize("strokes", [SEVEN, EIGHT], ids=["seven", "eight"])
def test_a_digit_in_a_printed_frame_is_read_without_it(strokes, inset, thick):
    drawn = canvas(strokes, canvas=200, brush=8, height=0.55)
    picture = 255 - drawn
    for line in (slice(inset, inset + thick), slice(200 - inset - thick, 200 - inset)):
        picture[line, inset : 200 - inset] = picture[inset : 200 - inset, line] = 20
    assert likeness(to_model_input(picture), to_model_input(drawn)) > 0.95


def test_a_rectangular_zero_is_no_frame():
    page = np.zeros((280, 280), np.uint8)
    page[20:260, 30:250] = 255
    page[32:248, 42:238] = 0
    alone = to_model_input(page)
    assert alone.max() == 255
    for column in (130, 256):  # a dot in it, and one beside it: nothing of a digit's size is inside
        dotted = page.copy()
        dotted[130:146, column : column + 16] = 255
        assert likeness(to_model_input(dotted)[:, :23], alone[:, :23]) > 0.8


def test_a_large_photo_is_shrunk_before_anything_costly(monkeypatch):
    seen = []
    for name in ("gaussian_filter", "maximum_filter", "minimum_filter", "label", "distance_transform_edt"):
        costly = getattr(ndimage, name)
        monkeypatch.setattr(
            preprocess.ndimage, name, lambda a, *rest, costly=costly: seen.append(a.shape) or costly(a, *rest)
        )
    picture = np.full((4096, 4096, 3), 240, np.uint8)
    picture[500:3500, 2000:2300] = 30
    assert to_model_input(picture) is not None
    assert seen
    assert max(map(max, seen)) <= 1.5 * WORK_SIDE  # padded at the most


@pytest.mark.mnist
def test_mnist_itself_passes_almost_unchanged(mnist_dir):
    images = load_dataset("mnist", mnist_dir).test_images[:500, 0]
    changes = np.array([np.abs(to_model_input(image).astype(int) - image).mean() for image in images])
    assert changes.mean() < 1  # grey levels of 255
    assert (changes < 1).mean() > 0.97
    inverted = np.array([np.abs(to_model_input(255 - image).astype(int) - image).mean() for image in images])
    assert inverted.mean() < 1


@pytest.mark.parametrize(
    ("ink", "paper"),
    [((255, 0, 0), (0, 130, 0)), ((230, 130, 150), (160, 160, 160)), ((0, 0, 160), (0, 0, 0))],
    ids=["red on green", "pink on grey", "dark blue on black"],
)
def test_ink_as_bright_as_its_paper_is_read_by_colour(ink, paper):
    share = canvas()[:, :, None] / 255
    picture = (share * np.array(ink) + (1 - share) * np.array(paper)).astype(np.uint8)
    assert likeness(to_model_input(picture), to_model_input(canvas())) > 0.97
    assert to_model_input(np.broadcast_to(np.array(paper, np.uint8), picture.shape)) is None
