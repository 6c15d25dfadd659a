from itertools import combinations

import numpy as np
import pytest
import torch

from mnist_core.config import Shape
from mnist_core.explain.counterfactual import MOST_PIXELS, smallest_edit
from mnist_core.inference.predictor import Predictor


@pytest.fixture(scope="module")
def pen() -> Predictor:
    return Predictor("pen")


@pytest.fixture(scope="module")
def seven() -> np.ndarray:
    from mnist_core.drawing.strokes import render_strokes

    drawn = Predictor("pen").prepare(render_strokes([[[80, 70], [200, 70], [130, 220]]], (280, 280)))
    assert drawn is not None
    return drawn


@pytest.mark.parametrize("target", [None, 2, 9])
def test_the_edited_image_gets_the_other_answer(target, pen, seven):
    edit = smallest_edit(pen.checkpoint.model, seven, target)
    assert edit is not None
    assert edit.before == 7
    probabilities = pen.probabilities(edit.image[None])[0]
    assert edit.after == probabilities.argmax() != 7
    assert target in (None, edit.after)
    assert edit.confidence == pytest.approx(float(probabilities.max()), abs=1e-5)
    differs = edit.image[0] != seven
    assert (differs == edit.changed).all()
    assert 0 < edit.pixels == differs.sum() <= MOST_PIXELS


def test_no_pixel_of_an_edit_can_be_left_out_at_the_end(pen, seven):
    edit = smallest_edit(pen.checkpoint.model, seven)
    row, column = np.argwhere(edit.changed)[-1]
    less = edit.image.copy()
    less[0, row, column] = seven[row, column]
    assert pen.probabilities(less[None])[0].argmax() == 7


def test_the_answer_itself_needs_no_edit(pen, seven):
    assert smallest_edit(pen.checkpoint.model, seven, 7) is None


def test_a_linear_model_is_flipped_by_as_few_pixels_as_can_be(network):
    """Of a linear model on 3×3 pixels all edits can be tried."""
    torch.manual_seed(4)
    model = network("mlp", Shape(1, 3, 3, 3))
    model.net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(9, 3))
    image = np.random.default_rng(1).integers(0, 256, (3, 3), np.uint8)
    edit = smallest_edit(model, image)

    def answer(pixels: np.ndarray) -> int:
        return int(model(torch.from_numpy(pixels).float()[None, None] / 255).argmax())

    def flips(places: tuple[int, ...]) -> bool:
        for bits in range(2 ** len(places)):
            trial = image.copy()
            for number, place in enumerate(places):
                trial.flat[place] = 255 * (bits >> number & 1)
            if answer(trial) != answer(image):
                return True
        return False

    fewest = next(n for n in range(1, 10) if any(flips(places) for places in combinations(range(9), n)))
    assert edit is not None
    assert edit.pixels == fewest


def test_colour_images_are_edited_in_all_channels(network):
    model = network("small-cnn", Shape(3, 16, 16, 4))
    image = np.random.default_rng(0).integers(0, 256, (3, 16, 16), np.uint8)
    edit = smallest_edit(model, image)
    if edit is not None:
        with torch.inference_mode():
            assert int(model(torch.from_numpy(edit.image)[None] / 255).argmax()) == edit.after != edit.before
        assert ((edit.image != image).any(axis=0) == edit.changed).all()
