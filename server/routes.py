"""All routes of the lab's own."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route, Router

from server import openapi
from server.answers import json_response
from server.guard import Guard
from server.images import image
from server.predict import Predictions
from server.runs import Runs
from server.scripts import plotly_script

# the page of the interface has one style sheet, its own
PAGE_HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"}


def routes(
    allowed_hosts: Sequence[str] = (),
    base_url: str = "",
    allowed_origins: Sequence[str] = (),
    predictions: Predictions | None = None,
    runs: Runs | None = None,
) -> list[BaseRoute]:
    """The routes to mount beside Streamlit's, below `base_url`, for requests that `Guard` lets pass."""
    base = f"/{base_url.strip('/')}" if base_url.strip("/") else ""
    predictions, runs = predictions or Predictions(), runs or Runs()

    async def page(request: Request) -> Response:
        return HTMLResponse(openapi.page(base), headers=PAGE_HEADERS)

    async def document(request: Request) -> Response:
        return json_response(openapi.document(base))

    own = Router(
        [
            Route(f"{base}/api", page),
            Route(f"{base}/api/openapi.json", document),
            Route(f"{base}/api/predict", predictions.post, methods=["POST"]),
            Route(f"{base}/api/models", runs.models),
            Route(f"{base}/api/runs", runs.list),
            Route(f"{base}/api/runs/{{run}}", runs.one),
            Route(f"{base}/api/runs/{{run}}/events", runs.events),
            Route(f"{base}/api/runs/{{run}}/look", runs.look),
            Route(f"{base}/lab/images/{{token}}/{{row}}.png", image),
            Route(f"{base}/lab/{{name}}", plotly_script),
        ],
        redirect_slashes=False,
    )
    guarded = Guard(own, allowed_hosts, allowed_origins)
    # every path below these is ours: Streamlit would answer an unknown one with the page
    return [Route(base + path, guarded) for path in ("/api", "/api/{rest:path}", "/lab/{rest:path}")]
