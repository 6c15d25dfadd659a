"""Server-sent events (text/event-stream, HTML standard 9.2): an answer that goes on until one of the two ends it."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager, aclosing
from types import FrameType
from typing import Any

import anyio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

HEARTBEAT_SECONDS = 15.0  # proxies give up a connection on which nothing comes, often after 60 s
PATIENCE_SECONDS = 30.0  # a client that reads nothing for so long has gone without a word
HEARTBEAT = b": still here\n\n"
RETRY = b"retry: 2000\n\n"  # milliseconds after which a browser comes again

Messages = AsyncGenerator[bytes, None]


def message(data: bytes, name: str = "", number: int | None = None) -> bytes:
    """One event; `data` is a line."""
    head = f"event: {name}\n".encode() if name else b""
    head += f"id: {number}\n".encode() if number is not None else b""
    return head + b"data: " + data.strip().replace(b"\r", b" ") + b"\n\n"


class Closing:
    """Whether the server has been told to end: it waits for every answer, and a stream by itself would never end."""

    def __init__(self) -> None:
        self._told: asyncio.Event | None = None

    async def wait(self) -> None:
        """Returns once SIGINT or SIGTERM has come."""
        if self._told is None:
            self._told = asyncio.Event()
            self._listen(self._told.set)
        await self._told.wait()

    def _listen(self, told: Callable[[], None]) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            before = signal.getsignal(number)
            if callable(before):  # the server's own; without one the signal ends the process at once
                signal.signal(number, _both(lambda: loop.call_soon_threadsafe(told), before))


def _both(first: Callable[[], object], then: Callable[[int, FrameType | None], object]) -> Callable:
    def handle(number: int, frame: FrameType | None) -> None:
        first()
        then(number, frame)

    return handle


class EventStream(Response):
    """Sends `messages` until they end, the client goes, or the server is told to end; holds `place` as long."""

    media_type = "text/event-stream"

    def __init__(self, messages: Messages, closing: Closing, place: AbstractContextManager[Any]) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._messages, self._closing, self._place = messages, closing, place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._place:
            async with aclosing(self._messages):
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                if scope["method"] != "HEAD":
                    await self._go_on(receive, send)
                await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _go_on(self, receive: Receive, send: Send) -> None:
        async def until_gone() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            group.cancel_scope.cancel()

        async def until_closing() -> None:
            await self._closing.wait()
            group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(until_gone)
            group.start_soon(until_closing)
            await send({"type": "http.response.body", "body": RETRY, "more_body": True})
            async for part in self._messages:
                with anyio.move_on_after(PATIENCE_SECONDS) as patience:
                    await send({"type": "http.response.body", "body": part, "more_body": True})
                if patience.cancelled_caught:
                    break
            group.cancel_scope.cancel()
