"""A search from the page, in a browser: one of its processes is killed, and nothing is lost."""

from __future__ import annotations

import os
import signal

import pytest
from playwright.sync_api import expect

from mnist_core.experiments.search import list_searches, open_search
from mnist_core.recipes import get_recipe
from mnist_core.runs.run import list_runs
from tests.e2e.lab import lab, settled
from tests.helpers import until

pytestmark = pytest.mark.browser


@pytest.fixture
def two_slots(tmp_path, chromium_path, monkeypatch):
    """A lab of its own that trains two runs at once, without MNIST."""
    monkeypatch.setenv("MNIST_LAB_PARALLEL", "2")
    with lab(tmp_path, tmp_path / "no-data") as running:
        yield running
        for plan in list_searches(running.runs_dir):  # its processes outlive the server
            search = open_search(plan.name, running.runs_dir)
            search.stop()
            until(lambda search=search: not search.workers(), 60)


def fill(page, name: str, value: str) -> None:
    box = page.get_by_role("spinbutton", name=name, exact=True)
    box.fill(value)
    box.press("Enter")
    settled(page)


def test_a_search_survives_the_death_of_a_process(page, two_slots):
    page.goto(f"{two_slots.url}/compare?view=Search")
    settled(page)
    page.get_by_role("combobox", name="Recipe").click()
    page.get_by_role("option", name=get_recipe("mlp-baseline").title).click()
    settled(page)
    for name, value in (("Epochs", "5"), ("Trials", "8"), ("Processes", "2")):
        fill(page, name, value)
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.get_by_text("of 8 trials ended")).to_be_visible(timeout=60_000)
    (plan,) = list_searches(two_slots.runs_dir)
    search = open_search(plan.name, two_slots.runs_dir)
    # two are at work, both with a trial; one of them is killed
    until(lambda: sum(one.state == "running" and bool(one.curve) for one in search.trials()) >= 1, 120)
    until(lambda: len(search.workers()) == 2, 60)
    os.kill(search.workers()[0], signal.SIGKILL)
    until(lambda: len(search.workers()) == 1, 30)
    expect(page.get_by_text("8 of 8 trials ended")).to_be_visible(timeout=280_000)
    until(lambda: not search.workers(), 60)
    assert sum(one.counted for one in search.trials()) == 8
    runs = [run.trial for run in list_runs(two_slots.runs_dir)]
    assert len(runs) == len(set(runs)) == len(search.trials())
    # the best one's link leads to its run
    best = search.best()
    link = page.get_by_role("link", name="Its run")
    assert link.get_attribute("href").endswith(f"train?run={best.run.id}")
    page.goto(f"{two_slots.url}/train?run={best.run.id}")
    settled(page)
    expect(page.get_by_text(f"A trial of the search {plan.name}")).to_be_visible()
    assert "There is no run" not in page.inner_text("body")
