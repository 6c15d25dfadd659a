"""GET /api/models, /api/runs and /api/runs/ID, and the page of the interface."""

import json
import re

import pytest

from mnist_core.figures.plotly_js import plotly_js_name
from mnist_core.models.checkpoint import update_card
from mnist_core.runs.catalogue import models
from server import openapi
from server.headers import HEADERS
from server.routes import routes
from tests.helpers import ROOT
from tests.helpers.runs import created
from tests.helpers.web import site


def test_models_are_those_of_the_pages(web, stopped):
    found = web.get("/api/models").json["models"]
    assert [model["id"] for model in found] == [model.id for model in models()]
    assert found[0]["id"] == "pen"
    assert found[0]["classes"] == list("0123456789")
    assert found[0]["input_shape"] == [1, 28, 28]
    assert found[-1]["run"] == stopped.id


def test_runs_are_listed_the_newest_first(web, tmp_path, stopped):
    newer = [created(tmp_path, seed=seed) for seed in (1, 2)]
    found = web.get("/api/runs").json
    assert found["more"] is False
    assert [run["id"] for run in found["runs"]] == [*sorted((run.id for run in newer), reverse=True), stopped.id]
    last = found["runs"][-1]
    assert (last["state"], last["owner"], last["pinned"], last["dataset"]) == ("stopped", "Ann", True, "digits")
    assert last["model"] == stopped.id
    first = web.get("/api/runs?limit=2").json
    assert first["more"] is True
    rest = web.get(f"/api/runs?limit=2&before={first['runs'][-1]['id']}").json
    assert [run["id"] for run in rest["runs"]] == [stopped.id]


@pytest.mark.parametrize("limit", ["0", "-1", "x", "1001", "9" * 5000, "%C2%B2"])
def test_a_limit_out_of_its_range_is_a_400(web, limit):
    answer = web.get(f"/api/runs?limit={limit}")
    assert answer.status == 400
    assert "1 to 1000" in answer.error


def test_one_run_has_its_settings_and_results(web, stopped):
    update_card(stopped.checkpoint(), metrics={"test_accuracy": 0.875})
    found = web.get(f"/api/runs/{stopped.id}").json
    assert found["config"]["batch_size"] == stopped.config().batch_size
    assert found["start"]["parameters"] == 19586
    assert found["step"]["event"] == "step"
    assert found["metrics"] == {"test_accuracy": 0.875}


def test_a_run_that_has_not_begun_has_neither(web, tmp_path):
    found = web.get(f"/api/runs/{created(tmp_path).id}").json
    assert found["state"] == "queued"
    assert (found["start"], found["step"], found["epoch"], found["metrics"], found["model"]) == (None,) * 5


def test_a_damaged_run_is_listed_all_the_same(web, stopped):
    (stopped.folder / "config.json").write_text("{")
    (stopped.folder / "status.json").write_text("[]")
    assert web.get("/api/runs").json["runs"][0]["state"] == "crashed"
    assert web.get(f"/api/runs/{stopped.id}").json["config"] is None


@pytest.mark.parametrize("name", ["nope", "..%5c..", ".", "~", "a%00b", "x" * 3000, "-rf", "%e2%80%ae", "con"])
@pytest.mark.parametrize("rest", ["", "/events", "/events?view=curves"])
def test_a_run_that_is_not_there_is_a_404(web, name, rest, tmp_path):
    answer = web.get(f"/api/runs/{name}{rest}")
    assert answer.status == 404
    assert "There is no run" in answer.error
    assert str(tmp_path) not in answer.error


# ---- the description ------------------------------------------------------------------------------------------------


def test_the_description_names_every_route(web):
    described = web.get("/api/openapi.json").json
    assert described["openapi"] == "3.1.0"
    assert set(described["paths"]) == {
        "/api/predict",
        "/api/models",
        "/api/runs",
        "/api/runs/{run}",
        "/api/runs/{run}/events",
        "/api/runs/{run}/look",
    }
    assert described == json.loads(json.dumps(openapi.document("")))
    for path, methods in described["paths"].items():
        (method,) = methods
        assert web.ask(method.upper(), path.replace("{run}", "x")).status in (200, 400, 404)
        other = "POST" if method == "get" else "GET"
        assert web.ask(other, path.replace("{run}", "x")).status == 405
    assert openapi.document("/a")["servers"] == [{"url": "/a"}]


def test_the_documents_name_every_path_status_and_parameter():
    words = (ROOT / "docs" / "http.md").read_text(encoding="utf-8")
    for path, methods in openapi.document("")["paths"].items():
        for method, operation in methods.items():
            assert f"`{method.upper()} {path}`" in words
            for parameter in operation.get("parameters", []):
                assert parameter["name"] in words
    for status in openapi.ERRORS:
        assert f"| {status} |" in words


def test_a_prediction_is_as_described(web):
    example = openapi.STROKES["example"]
    answer = web.predict(json.dumps(example).encode(), kind="application/json").json
    assert (
        set(answer)
        == {*openapi.PREDICTION["required"], "number", "digits", "size"}
        <= set(openapi.PREDICTION["properties"])
    )
    assert (answer["digit"], answer["number"]) == (7, "7")
    alone = web.predict(json.dumps(example).encode(), "?number=0", kind="application/json").json
    assert set(alone) == set(openapi.PREDICTION["required"])


def test_the_page_for_people_needs_no_script_and_no_network():
    with site(base_url="x") as web:
        answer = web.get("/x/api")
    page = answer.body.decode()
    assert "script" not in page
    assert not re.findall(r"(?:src|href)=\"(?!/x/api)", page)
    assert "GET /x/api/runs/{run}/events" in page
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


# ---- headers ---------------------------------------------------------------------------------------------------------


def test_every_answer_has_the_security_headers(web):
    for path in ("/api", "/api/models", "/api/nope", f"/lab/{plotly_js_name()}"):
        answer = web.get(path)
        assert {name.lower() for name in HEADERS} <= answer.headers.keys()
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_routes_stand_below_the_base_path():
    assert {route.path for route in routes(base_url="/a/b/")} == {
        "/a/b/api",
        "/a/b/api/{rest:path}",
        "/a/b/lab/{rest:path}",
    }
