"""Sends what is written at once (TCP_NODELAY), which asyncio does for every connection but Streamlit's.

Streamlit binds its socket without naming the protocol, so asyncio does not see that its connections are TCP. Nagle's
algorithm then holds the second part of an answer back until the first is acknowledged, which takes a client 40 ms.
"""

from __future__ import annotations

import contextlib
import socket

from starlette.types import ASGIApp, Receive, Scope, Send


class NoDelay:
    """Outermost middleware: uvicorn's connection is found through its own `receive`, where that has one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport = getattr(getattr(receive, "__self__", None), "transport", None)
        if transport is not None:
            with contextlib.suppress(OSError, AttributeError):  # it may be closed already, or be no socket
                transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await self._app(scope, receive, send)
