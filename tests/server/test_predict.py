"""POST /api/predict: the command line's answer, and a sentence for all that is none."""

import contextlib
import io
import json
import shutil
import time

import numpy as np
import pytest
from PIL import Image

from mnist_core.data.stroke_files import MAX_POINTS
from mnist_core.drawing.strokes import render_strokes
from mnist_core.inference.numbers import read_number
from mnist_core.inference.predictor import Predictor
from mnist_core.runs.catalogue import READS_DRAWINGS
from server.body import LARGEST, Bodies
from server.predict import DEFAULT_MODEL, LARGEST_STROKES, Predictions
from server.traffic import Pace, Traffic
from tests.helpers import until
from tests.helpers.drawing import DIGITS
from tests.helpers.files import encoded
from tests.helpers.web import site

SEVEN = [[[80, 70], [200, 70], [130, 220]]]
DRAWING = {"box": [280, 280], "y_axis": "down", "strokes": SEVEN}
PIXELS = render_strokes(SEVEN, (280, 280))
PNG = encoded(PIXELS)


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


def test_a_picture_is_answered_as_on_the_command_line(web, ask, tmp_path):
    (tmp_path / "7.png").write_bytes(PNG)
    _, out, _ = ask("predict", "pen", str(tmp_path / "7.png"))
    line = json.loads(out)
    line.pop("path")
    answer = web.predict(PNG)
    assert answer.status == 200
    assert answer.json == {"model": "pen", **line}
    assert answer.json["digit"] == 7
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_every_format_of_an_upload_is_read(web, kind):
    picture = encoded(Image.fromarray(255 - PIXELS).convert("RGB"), kind)
    assert web.predict(picture, kind=f"image/{kind.lower()}").json["digit"] == 7
    assert web.predict(picture, kind="application/octet-stream").json["digit"] == 7


def test_strokes_are_answered_as_their_rendering_is(web):
    answer = web.predict(as_json(DRAWING), kind="application/json; charset=utf-8")
    assert answer.json == web.predict(PNG).json
    upwards = {**DRAWING, "y_axis": "up", "strokes": [[[x, 280 - y] for x, y in stroke] for stroke in SEVEN]}
    assert web.predict(as_json(upwards), kind="application/json").json["digit"] == 7
    timed = {**DRAWING, "strokes": [[[x, y, 17] for x, y in stroke] for stroke in SEVEN]}
    assert web.predict(as_json(timed), kind="application/json").json == answer.json


def test_the_models_input_is_sent_when_it_is_asked_for(web):
    seen = np.array(web.predict(PNG, "?input=1").json["input"])
    np.testing.assert_array_equal(seen, Predictor("pen").predict(PIXELS).model_input)
    blank = web.predict(encoded(np.zeros((50, 50))), "?input=1").json
    assert (blank["digit"], blank["rejection"], blank["is_digit"], blank["input"]) == (None, "blank", False, None)
    assert "input" not in web.predict(PNG, "?input=0").json


def test_a_model_is_chosen_by_its_id(web, stopped):
    assert web.predict(PNG, "?model=accurate").json["model"] == "accurate"
    answer = web.predict(PNG, f"?model={stopped.id}")
    expected = read_number(Predictor(stopped.checkpoint()), PIXELS)
    assert answer.json == {"model": stopped.id, **json.loads(json.dumps(expected.record()))}


def test_a_drawing_is_turned_for_a_model_of_light_pictures(web, stopped):
    card = stopped.checkpoint() / "card.json"
    value = json.loads(card.read_text())
    value["config"]["preparation"], value["mean"] = "whole", [0.9]
    card.write_text(json.dumps(value))
    query = f"?model={stopped.id}&input=1"
    drawn = web.predict(PNG, f"{query}&canvas=1").json
    assert np.mean(drawn["input"]) > 128
    assert drawn == web.predict(as_json(DRAWING), query, "application/json").json
    assert drawn == web.predict(encoded(255 - PIXELS), query).json
    assert np.mean(web.predict(PNG, query).json["input"]) < 128


# ---- bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "kind", "status", "said"),
    [
        (b"", "image/png", 400, "is empty"),
        (b"hello", "image/png", 400, "cannot be read as a picture"),
        (PNG[:100], "image/png", 400, "cut short"),
        (b"\0\0\0\x18ftypheic", "image/heic", 415, "image/jpeg"),
        (PNG, "application/x-www-form-urlencoded", 415, "Content-Type image/png"),
        (PNG, "multipart/form-data; boundary=x", 415, "multipart/form-data"),
        (PNG, "image/svg+xml", 415, "image/svg"),
        (b"{", "application/json", 400, "format of pen strokes"),
        (b"[" * 100_000, "application/json", 400, "format of pen strokes"),
        (as_json({**DRAWING, "strokes": []}), "application/json", 400, "1 to 20,000 points"),
        (as_json({**DRAWING, "strokes": [[]]}), "application/json", 400, "1 to 20,000 points"),
        (as_json({**DRAWING, "strokes": [[[1, 2]] * (MAX_POINTS + 1)]}), "application/json", 400, "strokes.0"),
        (as_json({**DRAWING, "strokes": [[[1, float("nan")]]]}), "application/json", 400, "strokes.0.0.1"),
        (as_json({**DRAWING, "box": [0, 1]}), "application/json", 400, "box.0"),
        (as_json({**DRAWING, "y_axis": "left"}), "application/json", 400, "y_axis"),
        (b" " * (LARGEST_STROKES + 1), "application/json", 413, "limit of 2 MB"),
    ],
)
def test_a_body_that_cannot_be_read_is_a_sentence(web, body, kind, status, said):
    answer = web.predict(body, kind=kind)
    assert answer.status == status
    assert said in answer.error


@pytest.mark.parametrize(
    "name", ["nope", "../../etc/passwd", "..", "/etc", "a/b", "a\\b", "pen/", "~", "%00", "x" * 5000, "%ud800"]
)
def test_a_model_that_is_not_there_is_a_404(web, name):
    answer = web.predict(PNG, f"?model={name}")
    assert answer.status == 404
    assert "There is no model" in answer.error


def test_a_parameter_out_of_its_range_is_a_400(web):
    assert "'input' is 1 or 0" in web.predict(PNG, "?input=yes").error


def test_a_model_that_is_deleted_between_two_calls_is_a_404(web, stopped):
    assert web.predict(PNG, f"?model={stopped.id}").status == 200
    weights = stopped.checkpoint() / "model.safetensors"
    weights.unlink()
    shutil.rmtree(stopped.folder)
    answer = web.predict(PNG, f"?model={stopped.id}")
    assert (answer.status, stopped.id in answer.error) == (404, True)


def test_a_damaged_model_is_a_sentence(web, stopped):
    (stopped.checkpoint() / "model.safetensors").write_bytes(b"no weights")
    answer = web.predict(PNG, f"?model={stopped.id}")
    assert answer.status == 404
    assert "SHA-256" in answer.error


def test_another_method_is_a_405(web):
    answer = web.get("/api/predict")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert "POST" in answer.error


# ---- limits ---------------------------------------------------------------------------------------------------------


def test_a_large_body_is_refused_before_it_is_sent(web):
    length = LARGEST + 1
    head = f"POST /api/predict HTTP/1.1\nHost: x\nContent-Type: image/png\nContent-Length: {length}\n\n"
    with web.connected(head) as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_50_mb_is_a_413_that_the_client_gets(web, chunked):
    part = bytes(2**20)
    body = (part for _ in range(50)) if chunked else part * 50
    answer = web.predict(body)
    assert answer.status == 413
    assert "limit of 25 MB" in answer.error
    assert answer.headers["connection"] == "close"
    assert web.predict(PNG).status == 200


def test_a_body_that_comes_too_slowly_is_a_408():
    predictions = Predictions(bodies=Bodies(pause=0.2, seconds=1.0))
    with site(predictions=predictions) as web:
        head = "POST /api/predict HTTP/1.1\nHost: x\nContent-Type: image/png\nContent-Length: 1000\n\n"
        with web.connected(head) as connection:
            assert b"sent nothing for 0.2 s" in connection.recv(1000)
        with web.connected(head) as connection:
            begun = time.monotonic()
            while time.monotonic() < begun + 0.9:
                connection.sendall(b"x")
                time.sleep(0.1)
            connection.sendall(b"x")
            assert b"was not there after 1 s" in connection.recv(1000)
        until(lambda: predictions.bodies.held == 0)
        assert predictions.traffic.under_way == 0


def test_a_client_that_goes_away_leaves_nothing_behind(web_with_predictions):
    web, predictions = web_with_predictions
    head = "POST /api/predict HTTP/1.1\nHost: x\nContent-Type: image/png\nContent-Length: 1000000\n\n"
    for _ in range(5):
        with web.connected(head) as connection:
            connection.sendall(bytes(200_000))
            until(lambda: predictions.bodies.held > 0)
        until(lambda: predictions.traffic.under_way == predictions.bodies.held == 0)
    assert web.predict(PNG).status == 200


def test_bodies_together_are_limited():
    predictions = Predictions(bodies=Bodies(together=1_500_000))
    with site(predictions=predictions) as web:
        head = "POST /api/predict HTTP/1.1\nHost: x\nContent-Type: image/png\nContent-Length: 2000000\n\n"
        with web.connected(head) as connection:
            connection.sendall(bytes(1_000_000))
            until(lambda: predictions.bodies.held == 1_000_000)
            answer = web.predict(bytes(1_000_000))
            assert answer.status == 429
            assert answer.headers["retry-after"] == "2"
        assert web.predict(PNG).status == 200


def test_requests_under_way_are_limited():
    with site(predictions=Predictions(Traffic(at_once=1))) as web:
        head = "POST /api/predict HTTP/1.1\nHost: x\nContent-Type: image/png\nContent-Length: 9\n\n"
        with web.connected(head):
            until(lambda: web.predict(PNG).status == 429)
            answer = web.predict(PNG)
            assert answer.headers["retry-after"] == "1"
            assert "1 requests are under way" in answer.error
        until(lambda: web.predict(PNG).status == 200)


def test_requests_a_second_are_limited():
    now = [0.0]
    with site(predictions=Predictions(Traffic(per_second=2, burst=3, clock=lambda: now[0]))) as web:
        assert [web.predict(PNG).status for _ in range(5)] == [200, 200, 200, 429, 429]
        now[0] += 0.5
        assert [web.predict(PNG).status for _ in range(2)] == [200, 429]


@pytest.fixture
def web_with_predictions(caplog):
    predictions = Predictions()
    with site(predictions=predictions) as running:
        yield running, predictions
    assert not caplog.records


def test_the_limits_allow_a_class_of_30_that_draws():
    now = [0.0]
    traffic = Traffic(clock=lambda: now[0])
    with contextlib.ExitStack() as under_way:
        for _ in range(30):
            under_way.enter_context(traffic.admitted())
        for _ in range(20):
            now[0] += 1.0
            for _ in range(30 * 15):
                with traffic.admitted():
                    pass


def test_a_picture_of_many_pixels_leaves_no_memory_behind(web):
    file = io.BytesIO()
    Image.new("1", (9_000, 9_000)).save(file, "PNG")
    answer = web.predict(file.getvalue())
    assert answer.status == 200
    assert answer.json["rejection"] == "blank"


def test_people_who_draw_at_once_share_the_pace():
    now = [100.0]
    pace = Pace(per_second=50, clock=lambda: now[0])
    assert pace.pause() == 0
    asked = dict.fromkeys(range(10), 100.0)  # each asks again when the server lets it, 15 times a second at most
    count = 0
    while now[0] < 110:
        person = min(asked, key=asked.get)
        now[0] = max(now[0], asked[person])
        asked[person] = now[0] + max(1 / 15, pace.pause())
        count += 1
    assert 490 <= count <= 520
    now[0] += 1
    assert pace.pause() == 0


def test_the_route_begins_with_the_model_of_the_pages():
    assert DEFAULT_MODEL == READS_DRAWINGS  # the route's module may not import the catalogue before it is asked


def test_strokes_of_a_number_are_read_as_one(web):
    digits = [DIGITS[digit] for digit in (2, 0, 4, 7)]
    strokes = [[[x + 90 * place, y] for x, y in stroke] for place, digit in enumerate(digits) for stroke in digit]
    answer = web.predict(
        as_json({"box": [400, 110], "y_axis": "down", "strokes": strokes}), kind="application/json"
    ).json
    assert answer["number"] == "2047"
    assert answer["rejection"] == "several"
    boxes = [digit["box"] for digit in answer["digits"]]
    assert boxes == sorted(boxes)
    assert boxes[-1][0] + boxes[-1][2] <= answer["size"][0]


def test_a_picture_may_be_read_as_one_digit_alone(web):
    alone = web.predict(PNG, "?number=0").json
    whole = web.predict(PNG, "?number=1").json
    assert web.predict(PNG, "?number=apart").json == whole  # one digit is a number of one
    assert whole == web.predict(PNG).json
    assert whole == {**alone, "number": "7", "digits": whole["digits"], "size": [280, 280]}
    assert web.predict(PNG, "?number=2").status == 400
