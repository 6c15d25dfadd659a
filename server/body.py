"""The body of a request, read within limits of size and time."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import anyio
from starlette.requests import ClientDisconnect, Request

from server.errors import RequestError

MEGABYTE = 2**20
LARGEST = 25 * MEGABYTE  # as of an upload on the Draw page


class Bodies:
    """Reads bodies: each of at most LARGEST bytes, all that are held at a time of at most `together`.

    A client may pause `pause` seconds and take `seconds` in all.
    """

    def __init__(self, together: int = 100 * MEGABYTE, pause: float = 10.0, seconds: float = 60.0) -> None:
        self._together, self._pause, self._seconds = together, pause, seconds
        self.held = 0  # bytes

    @contextlib.asynccontextmanager
    async def read(self, request: Request, largest: int = LARGEST) -> AsyncIterator[bytes]:
        """The body, whose bytes count as held within the context.

        Raises RequestError 400, 408, 413 or 429. What is too large by its own header is not read at all.
        """
        declared = _declared(request)
        if declared > largest:
            raise _too_large(declared, largest)
        taken = 0
        try:
            parts: list[bytes] = []
            with anyio.move_on_after(self._seconds) as in_all:
                chunks = request.stream().__aiter__()
                while True:
                    with anyio.move_on_after(self._pause) as pause:
                        try:
                            chunk = await anext(chunks)
                        except StopAsyncIteration:
                            break
                    if pause.cancelled_caught:
                        raise _too_slow(f"sent nothing for {self._pause:g} s")
                    self.held += len(chunk)
                    taken += len(chunk)
                    parts.append(chunk)
                    if taken > largest:
                        raise _too_large(taken, largest)
                    if self.held > self._together:
                        raise RequestError(
                            429, "Too many large bodies are under way: try again in 2 s.", {"Retry-After": "2"}
                        )
            if in_all.cancelled_caught:
                raise _too_slow(f"was not there after {self._seconds:g} s")
            yield parts[0] if len(parts) == 1 else b"".join(parts)
        except ClientDisconnect:
            raise RequestError(400, "The body ended before it was whole.") from None  # nobody is there to read this
        finally:
            self.held -= taken


def _declared(request: Request) -> int:
    text = request.headers.get("content-length", "0")
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise RequestError(400, "The header Content-Length is no number of bytes.")
    return int(text)


def _too_large(size: int, largest: int) -> RequestError:
    return RequestError(
        413,
        f"The body has {'at least ' if size - largest < MEGABYTE else ''}{size / MEGABYTE:.1f} MB, over the limit of "
        f"{largest / MEGABYTE:g} MB: send a smaller picture.",
    )


def _too_slow(what: str) -> RequestError:
    return RequestError(408, f"The body {what}: send it again, at once.")
