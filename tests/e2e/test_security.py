"""A running server holds what .streamlit/config.toml promises: asked over HTTP and WebSocket, as a stranger would."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import urllib.error
import urllib.request

import numpy as np
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from mnist_core.drawing.images import MAX_BYTES
from mnist_core.figures.plotly_js import plotly_js_name
from server.headers import HEADERS
from tests.e2e.lab import SEVEN, draw, lab, settled
from tests.helpers.files import encoded

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def strict_lab(tmp_path_factory):
    folder = tmp_path_factory.mktemp("strict")
    with lab(folder, folder / "no-data") as running:
        yield running


def stream(url: str, **options: object):
    return connect(url.replace("http", "ws", 1) + "/_stcore/stream", subprotocols=["streamlit"], proxy=None, **options)


def test_a_page_of_another_origin_cannot_open_a_session(strict_lab):
    with stream(strict_lab.url, origin=strict_lab.url):
        pass
    with pytest.raises(InvalidStatus) as refused:
        stream(strict_lab.url, origin="http://evil.example", open_timeout=60)
    assert refused.value.response.status_code == 403


def test_dns_rebinding_is_refused(strict_lab):
    port = int(strict_lab.url.rsplit(":", 1)[1])
    host = f"rebound.example:{port}"
    with pytest.raises(InvalidStatus) as refused:
        connect(
            f"ws://{host}/_stcore/stream",
            subprotocols=["streamlit"],
            origin=f"http://{host}",
            address=("127.0.0.1", port),
            proxy=None,
        )
    assert refused.value.response.status_code == 403


def test_responses_cannot_be_read_from_another_origin(strict_lab):
    request = urllib.request.Request(f"{strict_lab.url}/_stcore/health", headers={"Origin": "http://evil.example"})
    with urllib.request.urlopen(request) as answer:
        assert answer.headers.get("Access-Control-Allow-Origin") in (None, strict_lab.url)


def put(url: str, size: int, headers: dict[str, str]) -> int:
    """The status of an upload; the body is announced, and sent as far as the server takes it."""
    body = (
        b'--b\r\nContent-Disposition: form-data; name="f"; filename="../../x.png"\r\n\r\n'
        + bytes(size)
        + b"\r\n--b--\r\n"
    )
    host, path = url.removeprefix("http://").split("/", 1)
    connection = http.client.HTTPConnection(host, timeout=30)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it has answered before all was sent
        connection.request("PUT", f"/{path}", body, {"Content-Type": "multipart/form-data; boundary=b", **headers})
    with connection.getresponse() as answer:
        return answer.status


@pytest.fixture
def session(strict_lab, page):
    """Of a real browser: the server's id of its session, and the headers that show it is the browser's own page."""
    page.goto(f"{strict_lab.url}/draw")
    page.get_by_text("Upload", exact=True).click()
    chooser = page.locator("input[type=file]")
    chooser.wait_for(state="attached")
    requests = []
    page.on("request", lambda request: requests.append(request) if "upload_file" in request.url else None)
    chooser.set_input_files({"name": "x.png", "mimeType": "image/png", "buffer": b"no picture"})
    page.get_by_text("cannot be read", exact=False).or_(page.get_by_text("no picture", exact=False)).first.wait_for()
    request = next(each for each in requests if each.method == "PUT")
    token = request.headers["x-xsrftoken"]
    cookie = "; ".join(f"{each['name']}={each['value']}" for each in page.context.cookies())
    return re.sub(r"[^/]*$", "made-up-file", request.url), {"X-Xsrftoken": token, "Cookie": cookie}


def test_an_upload_over_the_limit_is_refused(session):
    url, headers = session
    assert put(url, 1000, headers) == 204
    assert put(url, MAX_BYTES + 100_000, headers) == 413


def test_an_upload_without_the_pages_own_token_is_refused(session):
    url, headers = session
    assert put(url, 1000, {}) == 403
    assert put(url, 1000, {**headers, "X-Xsrftoken": "made up"}) == 403


@pytest.mark.parametrize("path", ["api/models", "api/predict", "api/runs", "api", "lab/x"])
def test_the_labs_own_routes_refuse_strangers(strict_lab, path):
    port = int(strict_lab.url.rsplit(":", 1)[1])
    for headers in ({"Host": f"rebound.example:{port}"}, {"Origin": "http://evil.example"}):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("POST" if path == "api/predict" else "GET", f"/{path}", headers=headers)
        with connection.getresponse() as answer:
            assert answer.status == 403
            assert set(json.loads(answer.read())) == {"error"}


def test_paths_do_not_lead_out_of_the_labs_routes(strict_lab):
    for path in ("lab/../app.py", "lab/%2e%2e/app.py", "lab/..%2f..%2fetc/passwd", "api/runs/..%2f..%2fapp.py"):
        connection = http.client.HTTPConnection(strict_lab.url.removeprefix("http://"), timeout=30)
        connection.request("GET", f"/{path}")
        with connection.getresponse() as answer:
            body = answer.read()
            assert answer.status in (400, 404)
        assert len(body) < 300
        assert b"root:" not in body
        assert b"import" not in body


def test_every_answer_has_the_security_headers(strict_lab):
    for path in ("", "train", "static/nothing", "_stcore/health", "api/models", f"lab/{plotly_js_name()}"):
        with contextlib.suppress(urllib.error.HTTPError), urllib.request.urlopen(f"{strict_lab.url}/{path}") as answer:
            assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS


@pytest.mark.parametrize("path", ["", "train", "draw", "results", "compare", "data"])
def test_pages_survive_their_security_headers(strict_lab, page, path):
    said = []
    page.on("console", lambda message: said.append(message) if message.type in ("error", "warning") else None)
    page.goto(f"{strict_lab.url}/{path}")
    settled(page)
    if path == "draw":
        draw(page, SEVEN)
        page.locator("[data-testid='answer'][data-digit='7']").wait_for()
        page.get_by_text("Upload", exact=True).click()
        picture = {"name": "x.png", "mimeType": "image/png", "buffer": encoded(np.eye(30) * 255)}
        page.locator("input[type=file]").set_input_files(picture)
        page.get_by_text("Your picture").wait_for()
    page.wait_for_timeout(1000)
    # Streamlit looks for its server below a deep link first
    expected = [f"{strict_lab.url}/{path}/_stcore/{name}" for name in ("health", "host-config")] if path else []
    assert sorted(message.location["url"] for message in said) == expected, [message.text for message in said]
