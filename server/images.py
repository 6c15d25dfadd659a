"""One image of a dataset, for the pages that show it under the pointer: ten thousand would be too much for a page."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from server.errors import RequestError

KEPT = {"Cache-Control": "private, max-age=86400, immutable"}  # a name belongs to one set of images for ever


async def image(request: Request) -> Response:
    """The image of a row of a set that a page shows, as PNG. Raises RequestError 404 where there is none."""
    from mnist_core.figures.shown_images import shown_image

    row = request.path_params["row"]
    found = shown_image(request.path_params["token"], int(row)) if row.isdecimal() and len(row) < 10 else None
    if found is None:
        raise RequestError(404, "There is no such image: reload the page that shows it.")
    return Response(found, headers=KEPT, media_type="image/png")
