"""A hand is taught in a browser: strokes on the canvas, their labels, a teaching, and what it has changed."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from mnist_core.data.collection import FOLDER, Collection, counts
from mnist_core.models.checkpoint import read_card
from mnist_core.recipes import get_recipe
from mnist_core.runs.execute import execute
from mnist_core.runs.run import create_run, list_runs
from tests.e2e.lab import SEVEN, draw, settled
from tests.helpers import until
from tests.helpers.drawing import polygon

pytestmark = pytest.mark.browser
SLANTED = [[(60, 60), (220, 60), (60, 230)], [(70, 150), (190, 150)]]


def labels(page: Page, chosen: str):
    """The buttons under the answer, once the one of this label is marked; none is for ""."""
    return page.locator(f"[data-testid='labels'][data-chosen='{chosen}']")


def open_page(page: Page, url: str) -> None:
    page.goto(url)
    settled(page)
    page.locator("canvas.upper-canvas").wait_for()


def test_a_label_is_one_tap_or_key_and_can_be_taken_back(page, bare_lab):
    mine = Collection(bare_lab.runs_dir / FOLDER)
    open_page(page, f"{bare_lab.url}/draw")
    draw(page, SLANTED)
    page.locator("[data-testid='answer'][data-strokes='2'][data-source='page']").wait_for()
    page.get_by_role("group").get_by_text("7", exact=True).click()
    labels(page, "7").wait_for()
    (kept,) = mine.drawings()
    assert [len(stroke) >= 8 for stroke in kept.strokes] == [True, True]
    times = [point[2] for stroke in kept.strokes for point in stroke]
    assert times == sorted(times)
    assert times[0] == 0 < times[-1]
    page.keyboard.press("1")
    labels(page, "1").wait_for()
    assert counts(mine.drawings()) == {"1": 1}
    page.keyboard.press("1")
    labels(page, "").wait_for()
    assert mine.drawings() == []

    # after a page switch the strokes are known to the canvas alone
    page.get_by_role("link", name="Data").click()
    page.get_by_role("heading", name="Data", exact=True).wait_for()
    page.get_by_role("link", name="Draw").first.click()
    page.locator("[data-testid='answer'][data-strokes='2'][data-source='page']").wait_for()
    settled(page)
    page.keyboard.press("7")
    labels(page, "7").wait_for()
    (again,) = mine.drawings()
    assert again.strokes[0][0] == pytest.approx(kept.strokes[0][0][:2], abs=2)
    assert len(again.strokes[0][0]) == 2
    mine.remove(again.id)


def test_a_hand_is_taught_on_the_page_and_kept(page, bare_lab):
    mine = Collection(bare_lab.runs_dir / FOLDER)
    for number in range(5):
        mine.add("1", polygon(3, number))
    for number in range(4):
        mine.add("7", polygon(4, number))
    begun = create_run(get_recipe("quick").config("digits").replace(epochs=2), bare_lab.runs_dir)
    execute(begun, bare_lab.runs_dir.parent / "no-data")

    open_page(page, f"{bare_lab.url}/teach?model={begun.id}")
    for number, strokes in enumerate((SEVEN, SLANTED)):
        asked = page.get_by_test_id("asked").inner_text()
        assert not counts(mine.drawings())[asked]  # what was drawn least often
        draw(page, strokes)
        if number:
            page.keyboard.press("Enter")
        else:
            page.get_by_role("button", name="Next").click()
        until(lambda number=number: len(mine.drawings()) == 10 + number)
        settled(page)
        expect(page.get_by_test_id("asked")).not_to_have_text(asked)
    mine.add("7", polygon(4, 4))
    page.get_by_role("button", name="Remove this 1").first.click(force=True)
    until(lambda: len(mine.drawings()) == 11)
    settled(page)

    page.get_by_role("button", name="Teach quick").click()
    page.locator("[data-testid='live-progress']").wait_for()
    page.get_by_text("Forgetting.").wait_for()
    expect(page.locator("table")).to_contain_text("Your drawings that were held out (2)")
    page.get_by_role("button", name="Keep").click()
    page.get_by_text("Kept. It is a model like any other").wait_for()
    (run,) = (run for run in list_runs(bare_lab.runs_dir) if run.config().recipe == "teach")
    assert run.pinned
    card = read_card(run.checkpoint())
    assert card.metrics["test_accuracy"] >= card.metrics["before_accuracy"]
    assert "9 drawings, and 2 others" in card.about.data[0]
    page.get_by_role("link", name="Draw with it").click()
    page.locator("[data-testid='answer']").wait_for()
    expect(page.get_by_role("combobox", name="Model")).to_have_value(re.compile("^teach"))
