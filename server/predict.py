"""POST /api/predict: a picture or pen strokes → what a model says."""

from __future__ import annotations

import functools
from typing import Any

import anyio
from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response

from server.answers import json_response
from server.body import MEGABYTE, Bodies
from server.errors import RequestError
from server.traffic import Pace, Traffic

DEFAULT_MODEL = "pen"
PICTURES = (
    *("png", "jpeg", "jpg", "pjpeg", "webp", "gif", "bmp", "x-ms-bmp", "x-bmp", "tiff"),
    "*",
)
LARGEST_STROKES = 2 * MEGABYTE
SMALL = MEGABYTE // 4  # bytes of a body which is computed without waiting for large pictures
NUMBERS = ("1", "apart", "0")  # whether a number is looked for: always, where digits stand apart, never
FLAGS = {"0": False, "1": True, "": False}


class Predictions:
    """Answers predictions: within `traffic`, bodies within `bodies`, two small pictures and one large at a time."""

    def __init__(self, traffic: Traffic | None = None, bodies: Bodies | None = None) -> None:
        self.traffic, self.bodies = traffic or Traffic(), bodies or Bodies()
        self._pace = Pace()
        self._small, self._large = anyio.CapacityLimiter(2), anyio.CapacityLimiter(1)

    async def post(self, request: Request) -> Response:
        """The route. Raises RequestError."""
        name = request.query_params.get("model") or DEFAULT_MODEL
        canvas, with_input = _flag(request, "canvas"), _flag(request, "input")
        number = _number(request)
        strokes = _is_strokes(request)
        with self.traffic.admitted():
            async with self.bodies.read(request, *([LARGEST_STROKES] if strokes else [])) as body:
                read = functools.partial(predict, name, body, strokes, canvas, with_input, number)
                lane = self._small if len(body) <= SMALL else self._large
                answer = await to_thread.run_sync(read, limiter=lane)
        response = json_response(answer)
        response.headers["X-Pause"] = f"{self._pace.pause():.3f}"  # seconds, for who draws on; ui/live/answer.js
        return response


def _flag(request: Request, name: str) -> bool:
    try:
        return FLAGS[request.query_params.get(name, "")]
    except KeyError:
        raise RequestError(400, f"'{name}' is 1 or 0.") from None


def _number(request: Request) -> str:
    """One of NUMBERS. Raises RequestError."""
    said = request.query_params.get("number", NUMBERS[0])
    if said not in NUMBERS:
        raise RequestError(400, "'number' is 1, apart or 0.")
    return said


def _is_strokes(request: Request) -> bool:
    """Whether the body is JSON. Raises RequestError 415 where it is neither that nor a picture."""
    said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    kind, _, form = said.partition("/")
    if said == "application/json":
        return True
    if said in ("", "application/octet-stream") or (kind == "image" and form in PICTURES):
        return False
    raise RequestError(
        415,
        f"A body of type '{said[:60]}' cannot be read: send the picture itself with Content-Type image/png, "
        "image/jpeg or image/webp, or strokes with application/json.",
    )


def predict(
    name: str, body: bytes, strokes: bool, canvas: bool, with_input: bool, number: str = NUMBERS[0]
) -> dict[str, Any]:
    """The model's prediction as JSON. `canvas` says that the picture is a drawing, light on dark, as strokes are.

    `number` is one of NUMBERS: to read a picture as one digit alone takes less time.

    Raises RequestError 400 for what is no picture, 404 for a model that is not there.
    """
    from mnist_core.drawing.images import decode_picture
    from mnist_core.errors import CheckpointError, DrawingError
    from mnist_core.inference.numbers import read_number
    from mnist_core.runs.catalogue import find_model, predictor

    try:
        model = find_model(name)
        reader = predictor(model)
        pixels = _rendered(body) if strokes else decode_picture(body, "The picture")
        pixels = reader.from_canvas(pixels) if strokes or canvas else pixels
        if number != "0":
            reading = read_number(reader, pixels, one_expected=number == "apart")
            prediction, record = reading.prediction, reading.record()
        else:
            prediction = reader.predict(pixels)
            record = prediction.record()
    except CheckpointError as error:
        raise RequestError(404, f"{error} GET /api/models lists those that there are.") from None
    except DrawingError as error:
        raise RequestError(400, str(error)) from None
    answer = {"model": model.id, **record}
    if with_input:
        seen = prediction.model_input
        answer["input"] = None if seen is None else seen.tolist()
    return answer


def _rendered(body: bytes) -> Any:
    """Strokes in JSON → (280, 280) uint8, light on dark; larger for a number, whose digits share the width.

    Raises DrawingError.
    """
    from mnist_core.data.stroke_files import read_drawing
    from mnist_core.drawing.strokes import canvas_side, render_strokes

    drawing = read_drawing(body)
    return render_strokes(drawing.strokes, drawing.box, drawing.y_axis, canvas=canvas_side(drawing.strokes))
