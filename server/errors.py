"""What is wrong with a request, as a status code and one sentence."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import JSONResponse


class RequestError(Exception):
    """The request is refused with `status`; the message is complete, and `headers` go with it."""

    def __init__(self, status: int, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.headers = dict(headers or {})


def error_response(error: RequestError) -> JSONResponse:
    """`{"error": sentence}`; what no text can hold, such as half of a surrogate pair, is replaced."""
    sentence = str(error).encode("utf-8", "replace").decode()
    return JSONResponse({"error": sentence}, error.status, {"Cache-Control": "no-store", **error.headers})
