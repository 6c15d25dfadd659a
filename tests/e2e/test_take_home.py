"""A model as one HTML file, opened from the disk: what it says is what torch says."""

import base64
from pathlib import Path

import numpy as np
import pytest
import torch
from playwright.sync_api import expect

from mnist_core.config import Shape, TrainConfig
from mnist_core.drawing.strokes import jitter_strokes
from mnist_core.inference.predictor import Predictor
from mnist_core.inference.web_page import MOST_BYTES, _described, web_page, why_no_page
from mnist_core.models.architectures import ACTIVATIONS, MODELS, describe
from mnist_core.models.checkpoint import SHIPPED, load_checkpoint
from mnist_core.models.classifier import to_unit
from mnist_core.models.layer_table import layer_table
from tests.helpers.checkpoints import random_network
from tests.helpers.drawing import EIGHT, SEVEN, canvas

DRAWINGS = 200
READ = """light => {
  const image = prepare(Float32Array.from(atob(light), letter => letter.charCodeAt(0)), 280, 280);
  return {image: Array.from(image), probabilities: Array.from(probabilities(MODEL, image))};
}"""
RUN = """({layers, weights, mean, std, images}) => {
  const model = {layers, mean, std, temperature: 1, weights: {}};
  for (const [name, values] of Object.entries(weights)) {
    model.weights[name] = new Float32Array(Uint8Array.from(atob(values), letter => letter.charCodeAt(0)).buffer);
  }
  return images.map(image => Array.from(probabilities(model, Uint8Array.from(image))));
}"""


@pytest.fixture
def at_home(page, tmp_path):
    """`at_home(folder)` → a browser without network that shows that checkpoint's page."""

    def show(folder: Path):
        file = tmp_path / "model.html"
        file.write_bytes(web_page(folder))
        page.context.set_offline(True)
        page.goto(file.as_uri())
        return page

    return show


def drawn(count: int) -> list[np.ndarray]:
    """Sevens, eights and ones, each in another hand: (280, 280) uint8, light on dark."""
    random = np.random.default_rng(0)
    shapes = (SEVEN, EIGHT, [[[50, 0], [50, 100]]], [[[20, 0], [20, 50], [80, 50]], [[80, 0], [80, 100]]])
    return [canvas(jitter_strokes(shapes[number % len(shapes)], random)) for number in range(count)]


def test_two_hundred_drawings_are_read_as_torch_reads_them(at_home):
    reader, pictures = Predictor("pen"), drawn(DRAWINGS)
    page = at_home(SHIPPED / "pen")
    answers = [page.evaluate(READ, base64.b64encode(picture.tobytes()).decode()) for picture in pictures]
    images = np.array([answer["image"] for answer in answers], np.uint8).reshape(-1, 28, 28)
    model = load_checkpoint(SHIPPED / "pen").model
    with torch.inference_mode():
        expected = model(to_unit(images[:, None])).softmax(dim=1).numpy()
    np.testing.assert_allclose([answer["probabilities"] for answer in answers], expected, atol=1e-4)
    mine = [reader.predict(picture) for picture in pictures]
    # the centre of a drawing may be rounded to the other side
    same = [np.abs(image.astype(int) - its.model_input).max() <= 2 for image, its in zip(images, mine, strict=True)]
    assert np.mean(same) >= 0.99
    assert [np.argmax(answer["probabilities"]) for answer in answers] == [its.digit for its in mine]


SMALL = [
    name
    for name in MODELS
    if 4 * sum(row.parameters for row in layer_table(TrainConfig(model=name), Shape())) <= MOST_BYTES
]


def test_every_network_that_fits_is_computed_as_in_torch(at_home):
    page = at_home(SHIPPED / "tiny")
    images = np.random.default_rng(1).integers(0, 256, (3, 1, 28, 28), dtype=np.uint8)
    settings = [{"model": name, "batch_norm": True} for name in SMALL]
    settings += [{"model": name, "batch_norm": False} for name in ("mlp", "compact")]
    settings += [{"model": "small-cnn", "activation": kind} for kind in ACTIVATIONS]
    for each in settings:
        config = TrainConfig(**each)
        network = random_network(config, Shape())
        weights = {
            name: base64.b64encode(values.float().numpy().tobytes()).decode()
            for name, values in network.state_dict().items()
        }
        given = {
            "layers": _described(describe(config, Shape()))["layers"],
            "weights": weights,
            "mean": network.mean.flatten().tolist(),
            "std": network.std.flatten().tolist(),
            "images": images.reshape(3, -1).tolist(),
        }
        with torch.inference_mode():
            expected = network(to_unit(images)).softmax(dim=1).numpy()
        np.testing.assert_allclose(page.evaluate(RUN, given), expected, atol=1e-4, err_msg=str(each))


def test_a_stroke_is_answered_while_the_pen_is_down(at_home):
    page = at_home(SHIPPED / "pen")
    assert "Draw a digit" in page.inner_text("#words")
    box = page.locator("#paper").bounding_box()

    def to(x: float, y: float) -> tuple[float, float]:
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    page.mouse.move(*to(0.3, 0.2))
    page.mouse.down()
    for place in ((0.7, 0.2), (0.45, 0.85)):
        page.mouse.move(*to(*place), steps=10)
    expect(page.locator("#class")).to_have_text("7")
    page.mouse.up()
    page.keyboard.press("Escape")
    expect(page.locator("#class")).to_be_hidden()
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_what_cannot_be_a_page_is_told_beforehand():
    assert why_no_page(load_checkpoint(SHIPPED / "pen").card) == ""
    card = load_checkpoint(SHIPPED / "best").card
    assert "1.9 MB of weights" in why_no_page(card)
    assert "as a whole" in why_no_page(card.model_copy(update={"input_shape": (3, 32, 32)}))
