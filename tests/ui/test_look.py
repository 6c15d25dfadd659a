"""Looking inside from the Train page: a toggle, off at first and remembered; an ended run leads to its replay."""

from __future__ import annotations

import json

import pytest

from mnist_core.recipes import get_recipe
from mnist_core.runs import looks
from mnist_core.runs.run import create_run
from tests.helpers.pages import drawn_seven, finished_run, visit, words

PAGE, LABEL = "pages/train.py", "Look inside while it trains"

pytestmark = pytest.mark.usefixtures("no_workers")


@pytest.fixture(autouse=True)
def _no_mnist(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MNIST_LAB_DATA", str(tmp_path / "data"))


@pytest.fixture
def training():
    """A run that seems to train, and has just written a look."""
    kept = finished_run(snapshots=True)
    run = create_run(get_recipe("quick").config("digits"))
    with run.lock.acquire(timeout=0):
        run.set_status("running")
        (run.folder / looks.FILE).write_bytes(next((kept.folder / "snapshots").iterdir()).read_bytes())
        yield run


def toggles(app) -> list:
    return [toggle for toggle in app.toggle if toggle.label == LABEL]


def feeds(app) -> list[dict]:
    found = [each.proto for each in app.get("bidi_component") if each.proto.component_name == "mnist_lab.frames"]
    return [json.loads(each.json) for each in found]


def test_it_is_off_at_first_and_asks_nothing(training):
    app = visit(PAGE)
    assert not app.exception
    assert [toggle.value for toggle in toggles(app)] == [False]
    assert feeds(app) == []
    assert not looks.is_asked(training)


def test_switched_on_the_browser_hears_where_to_ask(training):
    app = visit(PAGE)
    toggles(app)[0].set_value(True).run()
    assert not app.exception
    assert looks.is_asked(training)
    assert feeds(app) == [{"feed": f"api/runs/{training.id}/look", "image": ""}]
    app.switch_page("pages/compare.py").run()
    app.switch_page(PAGE).run()
    assert [toggle.value for toggle in toggles(app)] == [True]


def test_a_drawing_goes_along(training):
    app = visit(PAGE, **{"look-inside": True, "canvas-0": drawn_seven()})
    assert not app.exception
    (feed,) = feeds(app)
    assert len(feed["image"]) == 4 * -(-28 * 28 // 3)


def test_before_the_first_look_it_says_so(training):
    (training.folder / looks.FILE).unlink()
    app = visit(PAGE, **{"look-inside": True})
    assert not app.exception
    assert "The first look comes" in words(app)


def test_in_a_read_only_lab_it_is_there_too(training, monkeypatch):
    monkeypatch.setenv("MNIST_LAB_MODE", "read-only")
    app = visit(PAGE, **{"look-inside": True, "looked-at": training.id})
    assert not app.exception
    assert [feed["feed"] for feed in feeds(app)] == [f"api/runs/{training.id}/look"]


def test_an_ended_run_leads_to_its_replay():
    run = finished_run(snapshots=True)
    app = visit(PAGE)
    assert toggles(app) == []
    (link,) = (each.proto for each in app.get("page_link") if each.proto.label == "Replay how it learned")
    assert run.id in link.query_string
