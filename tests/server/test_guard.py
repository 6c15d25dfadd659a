"""Who is answered at all: hosts, origins, the lab's mode, and what is nobody's page."""

import logging

import pytest

from tests.helpers.web import site

HOSTS = ["localhost", "127.0.0.1", "::1", "*.school.example"]


@pytest.fixture(scope="module")
def guarded():
    with site(allowed_hosts=HOSTS, allowed_origins=["https://friend.example/"], base_url="/lab-1/") as running:
        yield running


@pytest.mark.parametrize("path", ["/lab-1/api", "/lab-1/api/models", "/lab-1/api/predict", "/lab-1/lab/x"])
@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "school.example",
        "user@localhost",
        "localhost/x",
        "localhost:99999",
        "",
    ],
)
def test_a_foreign_host_is_refused(guarded, host, path):
    answer = guarded.get(path, Host=host)
    assert answer.status == 403
    assert "server.allowedHosts" in answer.error


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST.:8501", "127.0.0.1:1", "[::1]:8501", "a.school.example"])
def test_an_allowed_host_is_answered(guarded, host):
    assert guarded.get("/lab-1/api", Host=host).status == 200


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost:1", "http://localhost.evil.example"]
)
def test_a_page_of_another_site_is_refused(guarded, origin, method):
    path = "/lab-1/api/models" if method == "GET" else "/lab-1/api/predict"
    answer = guarded.ask(method, path, Host="localhost:8501", Origin=origin)
    assert answer.status == 403
    assert "another site" in answer.error
    assert "access-control-allow-origin" not in answer.headers


def test_a_load_by_another_site_is_refused_and_a_link_is_not(guarded):
    cross = {"Host": "localhost", "Sec_Fetch_Site": "cross-site"}
    assert guarded.get("/lab-1/api/models", **cross, Sec_Fetch_Mode="no-cors").status == 403
    assert guarded.get("/lab-1/api", **cross, Sec_Fetch_Mode="navigate").status == 200


@pytest.mark.parametrize("origin", ["http://localhost:8501", "https://friend.example"])
def test_the_labs_own_page_and_a_friends_are_answered(guarded, origin):
    assert guarded.get("/lab-1/api/models", Host="localhost:8501", Origin=origin).status == 200


def test_a_setting_that_makes_no_sense_is_a_503(web, monkeypatch):
    monkeypatch.setenv("MNIST_LAB_MODE", "open")
    answer = web.get("/api/models")
    assert answer.status == 503
    assert "MNIST_LAB_MODE" in answer.error


@pytest.mark.parametrize("path", ["/api/runs", "/api/runs/x", "/api/runs/x/events", "/api/runs/x/events?view=curves"])
def test_a_lab_to_draw_only_shows_no_runs(web, monkeypatch, path):
    monkeypatch.setenv("MNIST_LAB_MODE", "draw-only")
    answer = web.get(path)
    assert answer.status == 403
    assert "MNIST_LAB_MODE=draw-only" in answer.error
    assert web.get("/api/models").status == 200


def test_a_read_only_lab_shows_its_runs(web, monkeypatch):
    monkeypatch.setenv("MNIST_LAB_MODE", "read-only")
    assert web.get("/api/runs").json == {"runs": [], "more": False}


@pytest.mark.parametrize(
    "path", ["/api/", "/api/nothing", "/api/runs/", "/api/runs/x/y/z", "/lab/../x", "/api/predict/"]
)
def test_a_path_of_nothing_is_a_404(web, path):
    answer = web.get(path)
    assert answer.status == 404
    assert "error" in answer.json


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "POST"])
def test_nothing_can_be_changed(web, stopped, method):
    assert web.ask(method, f"/api/runs/{stopped.id}").status == 405


def test_an_error_of_ours_has_a_number_and_no_traceback(shared_web, monkeypatch, caplog):
    from server import listing

    def fail() -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(listing, "models", fail)
    with caplog.at_level(logging.ERROR, logger="server.guard"):
        answer = shared_web.get("/api/models")
    assert answer.status == 500
    number = answer.error.rstrip(".").rsplit(" ", 1)[-1]
    assert "secret" not in answer.error
    assert number in caplog.text
    assert "ZeroDivisionError" in caplog.text
