"""The lab's own routes on a port of this process, and a client that reads what it gets to the end."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware

from server.headers import SecurityHeaders
from server.nodelay import NoDelay
from server.routes import routes


@dataclass(frozen=True)
class Answer:
    """A whole answer, its headers' names in small letters."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The sentence of a refusal, which is one line and holds no traceback."""
        (sentence,) = self.json.values()
        assert set(self.json) == {"error"}
        assert 10 < len(sentence) < 1000
        assert sentence.endswith(".")
        assert "Traceback" not in sentence
        return sentence


@dataclass(frozen=True)
class Site:
    """A server's address."""

    port: int

    def ask(self, method: str, path: str, body: bytes | Iterator[bytes] | None = None, **headers: str) -> Answer:
        """One request; in headers' names `_` stands for `-`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            found: Mapping[str, str] = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, dict(found), answer.read())

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, **headers)

    def predict(self, body: bytes | Iterator[bytes], query: str = "", kind: str = "image/png", **more: str) -> Answer:
        return self.ask("POST", f"/api/predict{query}", body, Content_Type=kind, **more)

    @contextlib.contextmanager
    def connected(self, text: str) -> Iterator[socket.socket]:
        """A connection over which `text` was sent as it is, with CR LF for each line's end."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            connection.sendall(text.replace("\n", "\r\n").encode())
            yield connection


@contextlib.contextmanager
def site(**options: Any) -> Iterator[Site]:
    """The routes, as `server.routes.routes` makes them of `options`, in a thread of this process."""
    app = Starlette(routes=routes(**options), middleware=[Middleware(NoDelay), Middleware(SecurityHeaders)])
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen()  # so that nobody has to wait for the server
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    try:
        yield Site(listening.getsockname()[1])
    finally:
        server.should_exit = server.force_exit = True
        thread.join(timeout=20)
        listening.close()
        assert not thread.is_alive()


@dataclass(frozen=True)
class Message:
    """A server-sent event."""

    data: str
    name: str = "message"
    number: str = ""


def messages(text: str) -> list[Message]:
    """The events in a stream's text; comments and the rest are left out."""
    found = []
    for block in text.split("\n\n"):
        lines = [line.split(": ", 1) for line in block.splitlines() if ": " in line and not line.startswith(":")]
        fields = dict(lines)
        if "data" in fields:
            found.append(Message(fields["data"], fields.get("event", "message"), fields.get("id", "")))
    return found
