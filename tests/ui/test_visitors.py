"""When the last visitor has left, the server releases memory."""

import weakref

from tests.helpers.pages import visit
from ui import visitors as module
from ui.visitors import Visitors


def test_all_visitors_gone_is_reported_once(monkeypatch):
    now = 100.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    visitors = Visitors()
    assert not visitors.left(50)
    visitors.see()
    now = 149.0
    assert not visitors.left(50)
    now = 150.0
    assert visitors.left(50)
    assert not visitors.left(50)
    visitors.see()
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
    assert module.visitors().left(0)
