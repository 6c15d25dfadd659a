"""Scripts, styles and fonts of installed packages, whole and at once: nothing is fetched from elsewhere or copied.

Streamlit's own answer takes three steps in other threads for a file, and a page of the lab begins with 120 files. While
the server loads torch in the background, each step waits for it.
"""

from __future__ import annotations

import functools
import gzip
import mimetypes
from pathlib import Path

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from mnist_core.figures.plotly_js import plotly_js, plotly_js_name
from server.errors import RequestError

FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
LOOPBACK = ("127.0.0.1", "::1")
PACKABLE = (".js", ".css", ".json", ".svg")
OTHERS = {b"range", b"if-none-match", b"if-modified-since"}  # what a request asks for that is not the whole file


class StreamlitFiles:
    """Middleware that answers for Streamlit's files whose names change with what is in them."""

    def __init__(self, app: ASGIApp, folder: Path, base_url: str = "") -> None:
        """`folder` is the one that the server sends as `/static` below `base_url`."""
        self._app = app
        base = f"/{base_url.strip('/')}" if base_url.strip("/") else ""
        self._files = {
            f"{base}/static/{path.relative_to(folder).as_posix()}": path for path in folder.rglob("*") if path.is_file()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = scope["type"] == "http" and scope["method"] == "GET" and self._files.get(scope["path"])
        if not asked or OTHERS & {name for name, _ in scope["headers"]}:
            await self._app(scope, receive, send)
            return
        response = await whole_file(Request(scope), asked)
        await response(scope, receive, send)


async def plotly_script(request: Request) -> Response:
    """plotly.js under the name of its version. Raises RequestError 404 for another."""
    if request.path_params["name"] != plotly_js_name():
        raise RequestError(404, f"There is no such script: reload the page, which asks for {plotly_js_name()}.")
    return await whole_file(request, plotly_js())


async def whole_file(request: Request, path: Path) -> Response:
    """A file that a browser may keep for ever.

    Packed (to about a third) for other machines only: on this one the packing takes longer than the sending.
    """
    headers = {**FOR_EVER, "Content-Encoding": "identity"}  # or Streamlit packs it anew for each browser
    here = request.client is not None and request.client.host in LOOPBACK
    if path.suffix in PACKABLE and not here and "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        content = await to_thread.run_sync(_packed, path)
    else:
        content = path.read_bytes()  # in this thread: it takes less than the way to another one
    return Response(content, headers=headers, media_type=mimetypes.guess_type(path.name)[0])


@functools.cache
def _packed(path: Path) -> bytes:
    return gzip.compress(path.read_bytes(), 6, mtime=0)
