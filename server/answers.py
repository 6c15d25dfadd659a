"""Answers in JSON."""

from __future__ import annotations

import json
import math
from typing import Any

from starlette.responses import Response

from server.errors import RequestError


def json_response(value: Any) -> Response:
    """`value` as JSON, not to be kept. Numbers that JSON does not know, as in a damaged file, become null."""
    try:
        text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    except ValueError:
        text = json.dumps(_finite(value), separators=(",", ":"))
    return Response(text, headers={"Cache-Control": "no-store"}, media_type="application/json")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def error_response(error: RequestError) -> Response:
    """`{"error": sentence}` with the error's status and headers."""
    response = json_response({"error": str(error)})
    response.status_code = error.status
    response.headers.update(error.headers)
    return response
