"""Streamlit's own files as the lab sends them, and plotly.js: server/scripts.py."""

from __future__ import annotations

import asyncio
import gzip
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from starlette.requests import Request

from mnist_core.figures.plotly_js import plotly_js, plotly_js_name
from server.scripts import StreamlitFiles, plotly_script

STATIC = Path(st.__file__).parent / "static" / "static"
SCRIPT = next(STATIC.glob("js/index.*.js"))
FONT = next(STATIC.glob("media/*.woff2"))
HERE, ELSEWHERE = ("127.0.0.1", 1), ("192.0.2.1", 1)
PACKED = [(b"accept-encoding", b"gzip, br")]


def asked(path: str, client: tuple[str, int] = HERE, headers: Any = (), method: str = "GET", base: str = "") -> Any:
    """What is sent → (headers, body); None where the request is left to Streamlit."""
    sent: list[dict[str, Any]] = []

    async def streamlit(scope, receive, send):
        sent.append({"left": True})

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "client": client, "headers": list(headers)}
    in_a_thread(StreamlitFiles(streamlit, STATIC, base)(scope, None, send))
    if sent == [{"left": True}]:
        return None
    start, body = sent
    assert start["status"] == 200
    return {name.decode(): value.decode() for name, value in start["headers"]}, body["body"]


def in_a_thread(coroutine: Any) -> Any:
    with ThreadPoolExecutor() as pool:  # in this thread the browser of other tests has its own event loop
        return pool.submit(asyncio.run, coroutine).result()


@pytest.mark.parametrize(("path", "kind"), [(SCRIPT, "text/javascript"), (FONT, "font/woff2")])
def test_streamlits_files_are_sent_whole_and_kept_for_ever(path, kind):
    headers, body = asked(f"/static/{path.relative_to(STATIC).as_posix()}", headers=PACKED)
    assert body == path.read_bytes()
    assert headers["content-type"].startswith(kind)
    assert headers["content-length"] == str(len(body))
    assert headers["cache-control"] == "public, max-age=31536000, immutable"


def test_scripts_are_packed_for_other_machines_and_fonts_are_not():
    headers, body = asked(f"/static/js/{SCRIPT.name}", ELSEWHERE, PACKED)
    assert headers["content-encoding"] == "gzip"
    assert headers["vary"] == "Accept-Encoding"
    assert len(body) < SCRIPT.stat().st_size / 2
    assert gzip.decompress(body) == SCRIPT.read_bytes()
    assert asked(f"/static/js/{SCRIPT.name}", ELSEWHERE)[1] == SCRIPT.read_bytes()
    assert asked(f"/static/media/{FONT.name}", ELSEWHERE, PACKED)[1] == FONT.read_bytes()


def test_files_are_found_below_a_base_path_alone():
    assert asked(f"/a/b/static/js/{SCRIPT.name}", base="/a/b/")[1] == SCRIPT.read_bytes()
    assert asked(f"/static/js/{SCRIPT.name}", base="a/b") is None


@pytest.mark.parametrize("path", ["/", "/static/js/none.js", "/static/../index.html", "/static/js", "/draw"])
def test_everything_else_is_left_to_streamlit(path):
    assert asked(path) is None


@pytest.mark.parametrize("name", [b"range", b"if-none-match", b"if-modified-since"])
def test_parts_and_comparisons_are_left_to_streamlit(name):
    assert asked(f"/static/js/{SCRIPT.name}", headers=[(name, b"x")]) is None
    assert asked(f"/static/js/{SCRIPT.name}", method="HEAD") is None


def test_plotly_js_is_the_packages_own_and_kept_for_ever(web):
    answer = web.get(f"/lab/{plotly_js_name()}", Accept_Encoding="gzip")
    assert answer.body == plotly_js().read_bytes()
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"].startswith("text/javascript")
    assert web.get("/lab/plotly-0.1.min.js").status == 404


def test_plotly_js_is_packed_for_other_machines():
    scope = {"type": "http", "client": ELSEWHERE, "path_params": {"name": plotly_js_name()}, "headers": PACKED}
    answer = in_a_thread(plotly_script(Request(scope)))
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(answer.body) == plotly_js().read_bytes()
