"""How many people are at work: sessions, each counted once and forgotten after a minute."""

import weakref

from tests.helpers.pages import visit
from ui import visitors as module
from ui.visitors import Visitors


def test_each_session_counts_once_and_for_a_minute(monkeypatch):
    now = 100.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    visitors = Visitors()
    assert visitors.at_work() == 0
    for session in ("a", "b", "a"):
        visitors.see(session)
    assert visitors.at_work() == 2
    now = 130.0
    visitors.see("b")
    now = 161.0
    assert visitors.at_work() == 1
    now = 191.0
    assert visitors.at_work() == 0


def test_all_visitors_gone_is_reported_once(monkeypatch):
    now = 100.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    visitors = Visitors()
    assert not visitors.left(50)
    visitors.see("a")
    now = 149.0
    assert not visitors.left(50)
    now = 150.0
    assert visitors.left(50)
    assert not visitors.left(50)
    visitors.see("a")
    now = 210.0
    assert visitors.left(50)


def test_a_count_without_listeners_is_freed():
    class Held:
        pass

    held = Held()
    held.itself = held
    gone = weakref.ref(held)
    del held
    module.release_memory()
    assert gone() is None


def test_opening_a_page_counts_a_visitor():
    module.visitors.clear()
    visit("pages/draw.py")
    assert module.visitors().at_work() == 1
