"""The server's half of the answer on Draw; what the browser makes of it is for tests/e2e."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from mnist_core.inference.numbers import read_number
from mnist_core.inference.rejection import ShapeRejection
from mnist_core.runs.catalogue import find_model, predictor
from server.predict import predict
from tests.helpers.drawing import EIGHT, SEVEN, canvas
from tests.helpers.pages import answer, drawn_seven, visit
from ui.live.answer import REJECTIONS, as_json


@pytest.mark.parametrize("picture", [canvas(SEVEN), canvas(EIGHT, canvas=560, brush=40), np.zeros((28, 28), np.uint8)])
def test_the_page_and_the_route_say_the_same(picture):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, format="PNG")
    reader = predictor(find_model("tiny"))
    expected = {"model": "tiny", **as_json(read_number(reader, reader.from_canvas(picture)))}
    assert predict("tiny", file.getvalue(), strokes=False, canvas=True, with_input=True) == expected
    json.dumps(expected, allow_nan=False)


def test_every_rejection_has_words():
    assert {"blank", "unsure", *ShapeRejection.__args__} == set(REJECTIONS)


def test_the_answer_follows_the_pen_by_a_route():
    app = visit("pages/draw.py")
    app.session_state["canvas-0"] = drawn_seven()
    app.run()
    shown = answer(app)
    assert shown["route"] == "api/predict?canvas=1&input=1&model=pen"
    assert (shown["version"], shown["strokes"]) == (0, 1)
