"""On Draw, below the answer: three preparations, and a drawing made worse, through AppTest."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from mnist_core.drawing.naive import boxed, shrunk
from mnist_core.inference.corruptions import corrupted
from mnist_core.inference.predictor import Predictor
from tests.helpers.pages import drawn_seven, visit, words

PAGE = "pages/draw.py"


@pytest.fixture(autouse=True)
def _no_mnist(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MNIST_LAB_DATA", str(tmp_path / "data"))


def drawn(**state: object) -> AppTest:
    return visit(PAGE, **{"canvas-0": drawn_seven(), **{f"draw-{name}": value for name, value in state.items()}})


def pixels() -> np.ndarray:
    data = drawn_seven()["drawing"]["data"].partition(",")[2]
    return np.array(Image.open(io.BytesIO(base64.b64decode(data))))[..., 0]


def captions(app: AppTest) -> list[str]:
    return [image.caption for element in app.get("image") for image in element.proto.imgs]


def test_three_preparations_stand_side_by_side():
    app = drawn(preparations=True)
    assert not app.exception
    reader, canvas = Predictor("pen"), pixels()
    expected = [reader.answer(image) for image in (shrunk(canvas), boxed(canvas), reader.prepare(canvas))]
    assert captions(app) == [f"**{answer.digit}** · {answer.confidence:.0%}" for answer in expected]
    assert "*Only shrunk*" in words(app)


def test_a_drawing_is_broken_by_a_slider():
    app = drawn(**{"break": True, "corruption": "rotation"})
    assert not app.exception
    reader = Predictor("pen")
    batch = reader.prepare(pixels())[None, None]
    slider = next(each for each in app.slider if each.label == "Strength: angle")
    for degrees in (30.0, 85.0):
        slider.set_value(degrees).run()
        slider = next(each for each in app.slider if each.label == "Strength: angle")
        answer = reader.probabilities(corrupted(batch, "rotation", degrees))[0]
        assert captions(app) == [f"Read as **{answer.argmax()}** · {answer.max():.0%}"]
    levels = (0, 10, 20, 30, 40, 50, 60, 85, 90)
    answers = [int(reader.probabilities(corrupted(batch, "rotation", level))[0].argmax()) for level in levels]
    lost = next(place for place, answer in enumerate(answers) if answer != answers[0])
    said = words(app).replace("\\", "")
    assert f"Up to ±{levels[lost - 1]}° it reads **{answers[0]}**; at ±{levels[lost]}° it reads" in said


def test_other_random_numbers_make_another_picture():
    app = drawn(**{"break": True, "corruption": "noise"})
    before = [image.proto.imgs[0].url for image in app.get("image")]
    next(button for button in app.button if button.label == "Other random numbers").click().run()
    assert not app.exception
    assert [image.proto.imgs[0].url for image in app.get("image")] != before


def test_without_a_drawing_both_invite():
    app = visit(PAGE, **{"draw-preparations": True, "draw-break": True})
    assert not app.exception
    assert "Draw something small" in words(app)
    assert "Draw something, and see how much" in words(app)


def test_where_only_draw_is_shown_nothing_leads_to_results(monkeypatch):
    monkeypatch.setenv("MNIST_LAB_MODE", "draw-only")
    app = drawn(**{"break": True})
    assert not app.exception
    assert captions(app)
    assert not [link for link in app.get("page_link") if "many test images" in link.proto.label]
