"""A small reverse proxy, as an operator has one: it hands on what lies below one path, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.helpers import free_port


@dataclass
class Proxy:
    """`url` ends in the path's slash; `refused` are the paths that were asked for outside of it."""

    url: str
    refused: list[str] = field(default_factory=list)


@contextlib.contextmanager
def proxy(port: int, path: str) -> Iterator[Proxy]:
    """A proxy on a free port of 127.0.0.1 before the server on `port`, for what lies below `path`, as in "/lab/".

    The path, `Host` and `Origin` stay as the browser sent them. WebSockets and events pass as they come.
    """
    own = free_port()
    running = Proxy(f"http://127.0.0.1:{own}{path}")
    started, end = threading.Event(), []  # how another thread ends the loop

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            asked = head.split(b" ", 2)[1].decode(errors="replace")
            if not asked.startswith(path):
                running.refused.append(asked)
                writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                await writer.drain()
                return
            lines = head.split(b"\r\n")
            if not any(line.lower().startswith(b"upgrade:") for line in lines):
                # one request a connection, so that none passes unseen
                lines = [line for line in lines if not line.lower().startswith(b"connection:")]
                lines[1:1] = [b"Connection: close", b"X-Forwarded-Proto: http"]
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
            inner_writer.write(b"\r\n".join(lines))
            there = asyncio.create_task(_pass(reader, inner_writer))
            await _pass(inner_reader, writer)
            there.cancel()
            inner_writer.close()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            pass  # the browser has gone, or the proxy ends
        finally:
            writer.close()

    async def listen() -> None:
        ended, loop = asyncio.Event(), asyncio.get_running_loop()
        end.append(lambda: loop.call_soon_threadsafe(ended.set))
        server = await asyncio.start_server(serve, "127.0.0.1", own)
        started.set()
        await ended.wait()
        server.close()

    thread = threading.Thread(target=lambda: asyncio.run(listen()), daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield running
    finally:
        end[0]()
        thread.join(10)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while block := await reader.read(2**16):
            writer.write(block)
            await writer.drain()
