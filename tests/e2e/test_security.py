"""A running server holds what .streamlit/config.toml promises: asked over HTTP and WebSocket, as a stranger would."""

from __future__ import annotations

import contextlib
import http.client
import re
import urllib.error
import urllib.request

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from mnist_core.drawing.images import MAX_BYTES
from tests.e2e.lab import lab

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


def test_static_files_do_not_lead_out_of_their_folder(strict_lab):
    for path in ("../app.py", "%2e%2e/app.py", "..%2f..%2fetc/passwd", "live/../../.streamlit/config.toml"):
        connection = http.client.HTTPConnection(strict_lab.url.removeprefix("http://"), timeout=30)
        connection.request("GET", f"/app/static/{path}")
        answer = connection.getresponse()
        body = answer.read()
        # an unknown address is answered with the app's own page
        assert answer.status != 200 or b"<title>Streamlit</title>" in body or b"<!doctype html>" in body.lower()
        assert b"maxUploadSize" not in body
        assert b"root:" not in body
        assert b"page.begin" not in body
