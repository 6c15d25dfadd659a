"""All routes of the lab's own."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.routing import BaseRoute, Mount, Route, Router

from server.guard import Guard
from server.predict import Predictions


def routes(
    allowed_hosts: Sequence[str] = (), base_url: str = "", allowed_origins: Sequence[str] = ()
) -> list[BaseRoute]:
    """The routes to mount beside Streamlit's, below `base_url`, for requests that `Guard` lets pass."""
    base = f"/{base_url.strip('/')}" if base_url.strip("/") else ""
    predictions = Predictions()
    api = Router(routes=[Route("/predict", predictions.post, methods=["POST"])], redirect_slashes=False)
    return [Mount(f"{base}/api", app=Guard(api, allowed_hosts, allowed_origins))]
