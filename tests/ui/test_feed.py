"""The file from which a page fetches the curves of a training."""

import json
import threading

import pytest

from tests.helpers import until
from ui.live import feed as module
from ui.live.feed import Feed, feed_url


class Counter:
    """A snapshot that differs at every look."""

    def __init__(self) -> None:
        self.looks = 0

    def __call__(self):
        self.looks += 1
        return "running", {"loss": {"data": [{"x": [1, 2], "y": [self.looks, 0]}], "layout": {}}}


@pytest.fixture(autouse=True)
def _brisk(monkeypatch):
    """Feeds are written often, and end soon after the last request, before the next test begins."""
    before = set(threading.enumerate())
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 1.0)
    monkeypatch.setattr(module, "INTERVAL_SECONDS", 0.05)
    monkeypatch.setattr(module, "BRISK_INTERVAL_SECONDS", 0.05)
    yield
    until(lambda: not any(thread.name == "feed" for thread in set(threading.enumerate()) - before), 10)


def written(folder):
    (path,) = folder.glob("*.json")
    return json.loads(path.read_text())


def test_the_first_figures_come_at_once_and_newer_ones_follow(tmp_path):
    url = feed_url("run", Counter(), tmp_path / "live")
    first = written(tmp_path / "live")
    assert first["state"] == "running"
    assert first["figures"]["loss"]["points"] == 2
    assert url == f"app/static/live/{next((tmp_path / 'live').glob('*.json')).name}"
    until(lambda: written(tmp_path / "live")["figures"]["loss"]["figure"]["data"][0]["y"][0] > 3)
    assert written(tmp_path / "live")["time"] > first["time"]


def test_progress_travels_beside_the_figures(tmp_path):
    progress = {"share": 0.25, "text": "epoch 1 of 4"}
    feed_url("run", lambda: ("running", {"progress": progress, "loss": {"data": [], "layout": {}}}), tmp_path)
    shown = written(tmp_path)["figures"]
    assert shown["progress"] == {"progress": progress}
    assert shown["loss"] == {"points": 0, "figure": {"data": [], "layout": {}}}


def test_viewers_of_one_run_share_a_feed_others_have_their_own(tmp_path):
    mine, other = Counter(), Counter()
    assert feed_url("run", mine, tmp_path) == feed_url("run", other, tmp_path)
    assert not other.looks
    assert feed_url("another", other, tmp_path) != feed_url("run", mine, tmp_path)


def test_an_unwatched_feed_ends_and_removes_its_file(tmp_path):
    first = feed_url("run", Counter(), tmp_path)
    until(lambda: not list(tmp_path.iterdir()))
    until(lambda: feed_url("run", Counter(), tmp_path) != first)


def test_where_nothing_can_be_written_there_is_no_feed(tmp_path):
    (tmp_path / "file").write_text("")
    assert feed_url("run", Counter(), tmp_path / "file" / "live") is None


def test_stale_files_are_removed_and_fresh_ones_kept(tmp_path, monkeypatch):
    (tmp_path / "old.json").write_text("{}")
    monkeypatch.setattr(module, "STALE_SECONDS", -1.0)
    Feed(Counter(), tmp_path)
    assert "old.json" not in [path.name for path in tmp_path.iterdir()]
    monkeypatch.setattr(module, "STALE_SECONDS", 60.0)
    (tmp_path / "new.json").write_text("{}")
    Feed(Counter(), tmp_path)
    assert "new.json" in [path.name for path in tmp_path.iterdir()]
