"""The plotly.js of the installed package, from which the pages draw: nothing is fetched from elsewhere or copied."""

from __future__ import annotations

import functools
import gzip

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from mnist_core.figures.plotly_js import plotly_js, plotly_js_name
from server.errors import RequestError

FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
LOOPBACK = ("127.0.0.1", "::1")


async def script(request: Request) -> Response:
    """The script under the name of its version. Raises RequestError 404 for another.

    Packed (1.4 instead of 4.8 MB) for other machines only: on this one the packing takes longer than the sending.
    """
    if request.path_params["name"] != plotly_js_name():
        raise RequestError(404, f"There is no such script: reload the page, which asks for {plotly_js_name()}.")
    here = request.client is not None and request.client.host in LOOPBACK
    if not here and "gzip" in request.headers.get("accept-encoding", ""):
        packed = await to_thread.run_sync(_packed)
        return Response(packed, headers={**FOR_EVER, "Content-Encoding": "gzip"}, media_type="text/javascript")
    # "identity": or Streamlit packs it anew for each browser
    headers = {**FOR_EVER, "Content-Encoding": "identity"}
    return FileResponse(plotly_js(), headers=headers, media_type="text/javascript")


@functools.cache
def _packed() -> bytes:
    return gzip.compress(plotly_js().read_bytes(), 6, mtime=0)
