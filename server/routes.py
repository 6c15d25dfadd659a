"""All routes of the lab's own."""

from __future__ import annotations

from starlette.routing import BaseRoute


def routes() -> list[BaseRoute]:
    """The routes to mount beside Streamlit's."""
    return []
