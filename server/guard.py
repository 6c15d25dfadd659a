"""What stands before every route of the lab's own: checks of host and origin, and errors as JSON sentences."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from urllib.parse import urlsplit

import anyio
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.answers import error_response
from server.errors import RequestError

LINGER_BYTES, LINGER_SECONDS = 100 * 2**20, 5.0
_log = logging.getLogger(__name__)


class Guard:
    """Hands requests on to `app` which came to one of `hosts`, and from no page of another site but of `origins`.

    Streamlit checks its own routes alone. A host is a name, `*.name` or `*`; no host at all means every one, as in its
    setting `server.allowedHosts`. An origin is as in `server.corsAllowedOrigins`, or `*`.
    """

    def __init__(self, app: ASGIApp, hosts: Sequence[str] = (), origins: Sequence[str] = ()) -> None:
        self._app = app
        self._hosts = [host.strip().lower().rstrip(".") for host in hosts]
        self._origins = {origin.strip().rstrip("/") for origin in origins}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # there is no WebSocket here
            await send({"type": "websocket.close", "code": 1008})
            return
        inside = _Conversation(receive, send)
        try:
            self._check(Headers(scope=scope))
            await self._app(scope, inside.receive, inside.send)
        except RequestError as error:
            await inside.refuse(scope, error)
        except HTTPException as error:  # of the router
            await inside.refuse(scope, _of_router(error, scope))
        except Exception:
            number = secrets.token_hex(4)
            _log.exception("error %s at %s", number, scope["path"])
            await inside.refuse(
                scope, RequestError(500, f"Something went wrong in the lab; its log has it as error {number}.")
            )

    def _check(self, headers: Headers) -> None:
        """Raises RequestError 400 or 403, or 503 where the lab's settings make no sense."""
        from mnist_core.errors import ConfigError
        from mnist_core.system.settings import limits

        host = headers.get("host")
        if not self._is_allowed(host):
            raise RequestError(
                403,
                "The lab does not answer to this host name: its setting server.allowedHosts names those that it does.",
            )
        origin = headers.get("origin")
        if origin is None:  # a browser that follows a link from elsewhere sends none either
            loaded = headers.get("sec-fetch-mode", "navigate") != "navigate"
            foreign = loaded and headers.get("sec-fetch-site") == "cross-site"
        else:
            foreign = urlsplit(origin).netloc != host
        if foreign and not self._origins & {origin, "*"}:
            raise RequestError(403, "The lab does not answer to a page of another site.")
        try:
            limits()
        except ConfigError as error:
            raise RequestError(503, str(error)) from None

    def _is_allowed(self, host: str | None) -> bool:
        if not self._hosts:
            return True
        try:
            parts = urlsplit(f"//{host or ''}")
            name, _ = parts.hostname, parts.port  # the port is checked as it is read
        except ValueError:
            return False
        if not name or parts.username is not None or parts.path or parts.query or parts.fragment:
            return False
        name = name.rstrip(".")
        return any(
            pattern == "*" or (name.endswith(pattern[1:]) if pattern.startswith("*.") else name == pattern)
            for pattern in self._hosts
        )


def _of_router(error: HTTPException, scope: Scope) -> RequestError:
    if error.status_code == 404:
        return RequestError(404, f"There is nothing at {scope['path'][:100]}: the page /api lists what there is.")
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        return RequestError(405, f"{scope['method'][:20]} is not possible here, but {allowed}.", error.headers)
    return RequestError(error.status_code, f"{error.detail}.", error.headers)


class _Conversation:
    """Knows whether the request was read to its end and whether the answer has begun."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._read, self._begun = False, False

    async def receive(self) -> Message:
        message = await self._receive()
        self._read = self._read or not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        self._begun = True
        await self._send(message)

    async def refuse(self, scope: Scope, error: RequestError) -> None:
        """Sends the refusal, at once even while a body is coming in.

        To close then would have the client's system throw the answer away (RFC 9112, 9.6): so what still comes is
        read for a while, and thrown away.
        """
        if self._begun:
            return
        headers = Headers(scope=scope)
        bodiless = not headers.get("transfer-encoding") and headers.get("content-length", "0") == "0"
        response = error_response(error)
        if bodiless or self._read:
            await response(scope, self._receive, self._send)
            return
        response.headers["Connection"] = "close"
        response.headers["Content-Encoding"] = "identity"  # Streamlit would pack the parts, and hold them back
        await self._send({"type": "http.response.start", "status": error.status, "headers": response.raw_headers})
        await self._send({"type": "http.response.body", "body": response.body, "more_body": True})
        left = LINGER_BYTES
        with anyio.move_on_after(LINGER_SECONDS):
            while left > 0:
                message = await self._receive()
                left -= len(message.get("body", b""))
                if not message.get("more_body", False):
                    break
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})
