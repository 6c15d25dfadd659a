"""When the curves of a training are drawn, in a real browser: the events are a test's, so nothing depends on speed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from mnist_core.recipes import get_recipe
from mnist_core.runs.run import Run, create_run
from tests.e2e.lab import Lab, settled
from tests.helpers.events import append, start, step

pytestmark = pytest.mark.browser
LOSS = "[data-testid='live-chart'][data-key='loss']"


@pytest.fixture
def run(bare_lab: Lab) -> Iterator[Run]:
    """A run of 100 epochs that seems to train, after 50 batches of the first thousand."""
    made = create_run(get_recipe("quick").config("digits").replace(epochs=100), bare_lab.runs_dir)
    with made.lock.acquire(timeout=0):
        made.set_status("running")
        append(made, start(steps_per_epoch=1000, total_steps=100_000))
        go_on(made, 1, 50, 0.5)
        yield made
        made.finish("stopped")
    shutil.rmtree(made.folder)  # or its curves are behind those of the next test


def go_on(run: Run, first: int, last: int, loss: float) -> None:
    shown = {"epoch": 0, "loss": loss, "accuracy": 0.9}
    append(run, *({**step(number, rate=10 * number), **shown} for number in range(first, last + 1)))


def watch(page: Page, running: Lab) -> int:
    """Opens Train, and waits until the curves are there and have come to rest → how often the loss was drawn."""
    page.goto(f"{running.url}/train")
    settled(page)
    chart = page.locator(LOSS)
    expect(chart).to_have_attribute("data-points", "50")
    page.wait_for_timeout(1500)  # the feed's first message
    return int(chart.get_attribute("data-draws"))


def hears_of(page: Page, batch: int) -> None:
    """Waits until the page has been told of a batch, and has had the time to draw."""
    expect(page.get_by_test_id("live-progress")).to_contain_text(f"{10 * batch:,} images/s")
    page.wait_for_timeout(300)


def test_curves_are_drawn_when_one_would_see_them_move(page, bare_lab, run):
    draws = watch(page, bare_lab)
    chart = page.locator(LOSS)
    go_on(run, 51, 60, 0.5)  # a hundredth of an epoch of 100: less than a pixel, at the same height
    hears_of(page, 60)
    expect(chart).to_have_attribute("data-draws", str(draws))
    go_on(run, 61, 100, 3.0)
    hears_of(page, 100)
    expect(chart).to_have_attribute("data-draws", str(draws + 1))
    expect(chart).to_have_attribute("data-points", "100")


def test_curves_out_of_view_are_drawn_when_they_come_back(page, bare_lab, run):
    page.set_viewport_size({"width": 1200, "height": 600})
    draws = watch(page, bare_lab)
    chart, sheet = page.locator(LOSS), page.locator(".stMain")
    sheet.evaluate("sheet => sheet.scrollTo(0, sheet.scrollHeight)")
    page.wait_for_timeout(500)
    go_on(run, 51, 100, 3.0)
    hears_of(page, 100)
    expect(chart).to_have_attribute("data-draws", str(draws))
    sheet.evaluate("sheet => sheet.scrollTo(0, 0)")
    expect(chart).to_have_attribute("data-points", "100")
    expect(chart).to_have_attribute("data-draws", str(draws + 1))
