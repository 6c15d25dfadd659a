"""Heavy looks inside models wait for each other, and say so."""

from __future__ import annotations

import threading

import pytest

from tests.helpers import until
from ui import explained, waiting


class Bar:
    """Notes what a progress bar shows."""

    def __init__(self, shown: list[str]) -> None:
        self.shown = shown

    def progress(self, share: float, text: str) -> None:
        self.shown.append(text)

    def empty(self) -> None:
        self.shown.append("gone")


@pytest.fixture
def shown(monkeypatch) -> list[str]:
    texts: list[str] = []

    def bar(share: float, text: str) -> Bar:
        texts.append(text)
        return Bar(texts)

    monkeypatch.setattr(explained.st, "progress", bar)
    return texts


def test_a_heavy_look_shows_its_progress_and_goes(shown):
    with explained.one_at_a_time_with_threads("Reading …") as show:
        show(0.5)
    assert shown == ["Reading …", "Reading …", "gone"]


def test_a_second_heavy_look_says_that_it_waits(shown):
    entered, leave, order = threading.Event(), threading.Event(), []

    def first() -> None:
        with explained.one_at_a_time_with_threads("first"):
            entered.set()
            leave.wait(30)
            order.append("first")

    def second() -> None:
        with explained.one_at_a_time_with_threads("second"):
            order.append("second")

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    assert entered.wait(30)
    threads[1].start()
    until(lambda: any("yours is next" in text for text in shown))
    leave.set()
    for thread in threads:
        thread.join(30)
    assert order == ["first", "second"]


def test_an_error_lets_the_next_one_in(shown):
    with pytest.raises(ZeroDivisionError), explained.one_at_a_time_with_threads("fails"):
        1 / 0  # noqa: B018
    with explained.one_at_a_time_with_threads("next"):
        pass
    assert shown.count("gone") == 2


def test_what_takes_long_has_a_bar_soon_and_the_rest_none(monkeypatch):
    shown: list[str] = []
    monkeypatch.setattr(explained.st, "empty", lambda: Bar(shown))
    monkeypatch.setattr(waiting, "add_script_run_ctx", lambda timer: None)
    with explained.progress_soon("quick"):
        pass
    assert shown == ["gone"]
    with explained.progress_soon("slow"):
        until(lambda: "slow" in shown)
    assert shown == ["gone", "slow", "gone"]
