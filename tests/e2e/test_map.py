"""The map on Results: an image under the pointer, a click, a lasso, the drawing, and the same without a mouse."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.lab import SEVEN, Lab, draw, settled

pytestmark = pytest.mark.browser


def name_on_map(chart: Locator, digit: int) -> Locator:
    return chart.locator(".annotation-text", has_text=re.compile(f"^{digit}$"))


def point_at_an_image(page: Page, chart: Locator) -> tuple[float, float, int]:
    """Where there is one, in pixels of the window, and its row: from the name of a class to the right."""
    chart.scroll_into_view_if_needed()
    box = name_on_map(chart, 0).bounding_box()
    assert box is not None
    tip = chart.locator(".live-chart-tip")
    for step in range(60):
        x, y = box["x"] + box["width"] + step, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        if tip.is_visible():
            found = re.match(r"(\d+): 0, read as \d, \d+\.\d% sure$", tip.inner_text().strip())
            if found:
                return x, y, int(found[1])
    raise AssertionError("there is no image under the pointer")


def rows_shown(page: Page) -> list[int]:
    links = page.locator(".st-key-selected [data-testid='stPageLink']", has_text="why?")
    return [int(text.split(":")[0]) for text in links.all_inner_texts()]


@pytest.mark.mnist
def test_map_matrix_and_images_share_a_selection(page, mnist_lab: Lab):
    page.goto(f"{mnist_lab.url}/draw")
    settled(page)
    draw(page, SEVEN)
    expect(page.get_by_test_id("answer-digit")).to_have_text("7")
    settled(page)
    page.locator("[data-testid='stPageLink']", has_text="Results").click()
    page.get_by_text("PCA", exact=True).click()
    chart = page.locator("[data-key$='-points']")
    expect(chart.locator(".live-chart-points")).to_be_visible()
    expect(page.get_by_text(re.compile("^★ Your drawing: read as 7, "))).to_be_visible()
    expect(chart.get_by_text("Your drawing", exact=True)).to_be_visible()
    settled(page)

    x, y, row = point_at_an_image(page, chart)
    image = chart.locator(".live-chart-tip img")
    page.wait_for_function("image => image.complete && image.naturalWidth === 28", arg=image.element_handle())
    page.mouse.click(x, y)
    expect(page.get_by_text(f"Test image {row}: 0 read as").first).to_be_visible()
    settled(page)
    assert rows_shown(page) == [row]
    expect(page).to_have_url(re.compile(rf"selected=row\.{row}&map=pca"))

    # a lasso around it, small enough that all within are shown
    page.mouse.move(x - 3, y - 3)
    page.mouse.down()
    for dx, dy in ((7, -3), (3, 3), (7, 7), (-7, 7), (-3, -3)):
        page.mouse.move(x + dx, y + dy, steps=4)
    page.mouse.up()
    title = page.locator(".st-key-selected").get_by_text(re.compile(r"\d+ within the lasso on PCA"))
    expect(title).to_be_visible()
    settled(page)
    count = int(title.inner_text().split()[0])
    rows = rows_shown(page)
    assert len(rows) == min(count, 24)
    assert row in rows or count > 24

    # the address leads to the same images
    page.reload()
    expect(chart.locator(".live-chart-points")).to_be_visible()
    settled(page)
    assert rows_shown(page) == rows


@pytest.mark.mnist
def test_the_map_is_used_by_keyboard_alone(page, mnist_lab: Lab):
    page.goto(f"{mnist_lab.url}/results?model=pen&data=mnist&map=pca")
    chart = page.locator("[data-key$='-points']")
    expect(chart.locator(".live-chart-points")).to_be_visible()
    expect(page.get_by_role("figure", name=re.compile("Map of 10,000 test images by PCA"))).to_be_visible()
    settled(page)
    field = page.get_by_role("spinbutton", name="Test image")
    field.focus()
    page.keyboard.type("359")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Test image 359: 9 read as 4").first).to_be_visible()
    settled(page)
    assert rows_shown(page) == [359]
    drawn = int(chart.get_attribute("data-draws") or 0)
    page.get_by_role("combobox", name="True").click()
    page.keyboard.type("4")
    page.keyboard.press("Enter")
    expect(page.get_by_text(re.compile(r"\d+ × 4 read as 4")).first).to_be_visible()
    page.wait_for_function(
        "([chart, drawn]) => Number(chart.dataset.draws) > drawn", arg=[chart.element_handle(), drawn]
    )
    name = name_on_map(chart, 9)  # near the middle, so that it stays in view
    before = name.bounding_box()
    page.get_by_role("button", name="Zoom in").focus()
    page.keyboard.press("Enter")
    page.wait_for_function(
        "([name, x]) => Math.abs(name.getBoundingClientRect().x - x) > 5",
        arg=[name.element_handle(), (before or {})["x"]],
    )
