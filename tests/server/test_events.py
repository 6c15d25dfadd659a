"""Events of a run over HTTP: from any position, as they come, to the end of the run, of the client or of the server."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from mnist_core.runs.run import Run, create_run
from server import curves, events
from server.runs import Runs
from server.traffic import Traffic
from tests.helpers import ROOT, free_port, strict_json, until
from tests.helpers.events import append, epoch, start, step
from tests.helpers.runs import created
from tests.helpers.web import Message, Site, messages, site


class Listener:
    """Reads a stream in a thread until it ends or is left."""

    def __init__(self, web: Site, path: str, **headers: str) -> None:
        lines = "".join(f"{name.replace('_', '-')}: {value}\n" for name, value in headers.items())
        self._stack = contextlib.ExitStack()
        self._socket = self._stack.enter_context(web.connected(f"GET {path} HTTP/1.0\nHost: x\n{lines}\n"))
        self._socket.settimeout(60)
        self.text, self.ended = "", False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while part := self._socket.recv(2**16):
                self.text += part.decode()
        self.ended = True

    @property
    def messages(self) -> list[Message]:
        return messages(self.text.partition("\r\n\r\n")[2])

    def leave(self) -> None:
        with contextlib.suppress(OSError):  # it has ended
            self._socket.shutdown(socket.SHUT_RDWR)  # to close it alone would wait for the thread that reads
        self._stack.close()


@pytest.fixture
def listen(web):
    with contextlib.ExitStack() as opened:

        def begin(path: str, **headers: str) -> Listener:
            listener = Listener(web, path, **headers)
            opened.callback(listener.leave)
            return listener

        yield begin


@pytest.fixture
def running(tmp_path) -> Run:
    """A run that is being executed, by nobody but its lock."""
    run = created(tmp_path)
    run.set_status("running")
    with run.lock.acquire(timeout=0):
        append(run, start(), step(1), step(2))
        yield run


def datas(found: list[Message]) -> list[dict]:
    return [strict_json(message.data) for message in found]


def test_an_ended_run_is_told_to_its_end(web, stopped):
    answer = web.get(f"/api/runs/{stopped.id}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    *told, last = messages(answer.body.decode())
    lines = stopped.metrics_path.read_bytes().splitlines()
    assert [message.data.encode() for message in told] == lines
    assert int(told[-1].number) == stopped.metrics_path.stat().st_size
    assert last.name == "closed"


def test_events_go_on_from_any_position(web, stopped):
    path = f"/api/runs/{stopped.id}/events"
    told = messages(web.get(path).body.decode())
    for place in (0, 5, len(told) - 3):
        behind = told[place + 1 :]
        assert messages(web.get(f"{path}?from={told[place].number}").body.decode()) == behind
        assert messages(web.get(path, Last_Event_ID=told[place].number).body.decode()) == behind
        within = int(told[place].number) - 3  # in the middle of a line: from the next one on
        assert messages(web.get(f"{path}?from={within}").body.decode()) == behind
    assert web.get(f"{path}?from={told[-2].number}").status == 204
    assert web.get(f"{path}?from=end").status == 204


@pytest.mark.parametrize("position", ["x", "-1", "1.5", "99999999", "9" * 400, "%C2%B2", "%00"])
def test_a_position_that_is_none_is_a_400(web, stopped, position):
    answer = web.get(f"/api/runs/{stopped.id}/events?from={position}")
    assert answer.status == 400
    assert "position" in answer.error.lower()
    assert web.get(f"/api/runs/{stopped.id}/events?view=x").status == 400


def test_damaged_lines_are_left_out(web, stopped):
    lines = stopped.metrics_path.read_bytes().splitlines(keepends=True)
    torn = [lines[0], b"{torn\n", b"\xff\xfe\n", b"\n", b'{"event": "step"}\n', lines[1], b'{"event": "st']
    stopped.metrics_path.write_bytes(b"".join(torn))
    *told, _ = messages(web.get(f"/api/runs/{stopped.id}/events").body.decode())
    assert [message.data.encode() + b"\n" for message in told] == lines[:2]


def test_events_come_as_they_happen_until_the_run_ends(listen, running, monkeypatch):
    monkeypatch.setattr(events, "LOOK_SECONDS", 0.05)
    listener = listen(f"/api/runs/{running.id}/events")
    newest = listen(f"/api/runs/{running.id}/events?from=end")
    until(lambda: len(listener.messages) == 3 and "retry" in newest.text)
    append(running, step(3), step(4), epoch(1))
    until(lambda: len(listener.messages) == 6)
    running.finish("stopped")
    until(lambda: listener.ended and newest.ended)
    assert [event.get("event") for event in datas(listener.messages)[:-1]] == ["start", *["step"] * 4, "epoch"]
    assert newest.messages == listener.messages[3:]
    assert newest.messages[-1].name == "closed"


def test_a_quiet_stream_is_kept_alive(listen, running, monkeypatch):
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.2)
    monkeypatch.setattr(events, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(curves, "HEARTBEAT_SECONDS", 0.2)
    both = [listen(f"/api/runs/{running.id}/events?view={view}") for view in ("events", "curves")]
    until(lambda: all(listener.text.count("\n: ") > 2 for listener in both))


def test_a_run_that_is_deleted_ends_its_streams(listen, running, monkeypatch):
    monkeypatch.setattr(events, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(curves, "INTERVAL_SECONDS", 0.1)
    both = [listen(f"/api/runs/{running.id}/events?view={view}") for view in ("events", "curves")]
    until(lambda: all(listener.messages for listener in both))
    shutil.rmtree(running.folder)
    until(lambda: all(listener.ended for listener in both))


# ---- curves ---------------------------------------------------------------------------------------------------------


def test_curves_are_told_when_they_change_and_only_then(listen, running, stopped, monkeypatch):
    monkeypatch.setattr(curves, "INTERVAL_SECONDS", 0.1)
    listener = listen(f"/api/runs/{running.id}/events?view=curves&behind={stopped.id},gone")
    until(lambda: listener.messages)
    (first,) = datas(listener.messages)
    assert first["state"].startswith("running")
    assert set(first["figures"]) == {"loss", "accuracy", f"progress-{running.id}"}
    loss = first["figures"]["loss"]
    assert [len(trace["x"]) for trace in loss["figure"]["data"] if trace["name"] == "train"] == [2]
    assert loss["points"] == sum(len(trace["x"]) for trace in loss["figure"]["data"]) > 60
    assert any("Ann" in trace["name"] for trace in loss["figure"]["data"])
    assert first["figures"][f"progress-{running.id}"]["progress"]["share"] == 0.25
    time.sleep(1.0)
    assert len(listener.messages) == 1
    append(running, step(3))
    until(lambda: len(listener.messages) == 2)
    running.set_status("paused")
    until(lambda: len(listener.messages) == 3)
    assert datas(listener.messages)[-1]["state"].startswith("paused")
    running.finish("stopped", "By hand.")
    until(lambda: listener.ended)
    *_, last, closed = listener.messages
    assert strict_json(last.data)["state"] == "stopped False By hand."
    assert closed.name == "closed"


def test_all_who_watch_share_one_follower(running, monkeypatch):
    monkeypatch.setattr(curves, "LINGER_SECONDS", 0.2)
    monkeypatch.setattr(curves, "INTERVAL_SECONDS", 0.1)
    runs = Runs()
    with site(runs=runs) as web:
        path = f"/api/runs/{running.id}/events?view=curves"
        watching = [Listener(web, path) for _ in range(5)]
        until(lambda: all(listener.messages for listener in watching))
        (follower,) = runs._followers._running.values()
        assert follower.listeners == 5
        assert len({listener.messages[0] for listener in watching}) == 1
        watching.pop().leave()
        until(lambda: follower.listeners == 4)
        assert not follower.ended
        for listener in watching:
            listener.leave()
        until(lambda: follower.ended)
        assert runs.streams.under_way == 0
        again = Listener(web, path)
        until(lambda: again.messages)
        again.leave()


def test_runs_of_several_seeds_are_watched_as_one(listen, running, monkeypatch):
    monkeypatch.setattr(curves, "INTERVAL_SECONDS", 0.1)
    other = create_run(running.config().replace(seed=7), running.folder.parent)
    listener = listen(f"/api/runs/{running.id}/events?view=curves&seeds={other.id},gone")
    until(lambda: listener.messages)
    (first,) = datas(listener.messages)
    assert set(first["figures"]) == {"loss", "accuracy", f"progress-{running.id}"}
    names = [trace["name"] for trace in first["figures"]["loss"]["figure"]["data"]]
    assert names == [f"{kind}, mean ± sd{what}" for kind in ("train", "validation") for what in (" band", "")]
    assert first["figures"][f"progress-{running.id}"]["progress"]["text"].startswith("0 of 2 seeds ended")
    running.finish("stopped", "By hand.")
    until(lambda: len(listener.messages) > 1)
    assert not listener.ended
    other.finish("stopped", "By hand.")
    until(lambda: listener.ended)


def test_a_lost_connection_misses_nothing(listen, running, monkeypatch):
    path = f"/api/runs/{running.id}/events?view=curves"
    first = listen(path)
    until(lambda: first.messages)
    first.leave()
    append(running, step(3), step(4))
    second = listen(path)
    until(lambda: second.messages)
    until(lambda: "[0.25, 0.5, 0.75, 1.0]" in second.messages[-1].data)


# ---- ends and limits ------------------------------------------------------------------------------------------------


def test_streams_are_limited_and_clients_that_go_are_forgotten(running):
    runs = Runs(streams=Traffic(at_once=2))
    with site(runs=runs) as web:
        path = f"/api/runs/{running.id}/events"
        held = [Listener(web, path), Listener(web, f"{path}?view=curves")]
        until(lambda: all(listener.messages for listener in held))
        answer = web.get(path)
        assert (answer.status, answer.headers["retry-after"]) == (429, "1")
        threads = threading.active_count()
        for listener in held:
            listener.leave()
        until(lambda: runs.streams.under_way == 0)
        for _ in range(20):
            listener = Listener(web, path)
            until(lambda heard=listener: heard.messages)
            listener.leave()
        until(lambda: runs.streams.under_way == 0)
        assert threading.active_count() <= threads + 1


SERVER = """
import sys, uvicorn
from starlette.applications import Starlette
from server.routes import routes
uvicorn.run(Starlette(routes=routes()), port=int(sys.argv[1]), log_level="warning")
"""


def test_a_server_that_is_told_to_end_ends_its_streams(running):
    port = free_port()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", SERVER, str(port)], env=environment, stderr=subprocess.PIPE) as server:
        web = Site(port)

        def answers() -> bool:
            with contextlib.suppress(OSError):
                return web.get("/api").status == 200
            return False

        until(answers)
        listener = Listener(web, f"/api/runs/{running.id}/events")
        until(lambda: listener.messages)
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=20) in (0, -signal.SIGTERM)
        until(lambda: listener.ended)
        assert not server.stderr.read()
