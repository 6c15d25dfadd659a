from collections.abc import Iterator

import pytest

from tests.helpers.mirror import Server


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    server = Server()
    yield server
    server.release.set()
    server.http.shutdown()
    server.http.server_close()
