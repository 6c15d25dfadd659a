"""The Data page in a browser: opened by its address, reshuffled, and its charts drawn."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.lab import settled

pytestmark = pytest.mark.browser


def addresses(page: Page) -> list[str]:
    """Where the pictures of the page come from, in their order; each names its content."""
    return page.locator("[data-testid='stImage'] img").evaluate_all("all => all.map(image => image.src)")


def test_a_deep_link_shows_the_data_and_reshuffles_samples(page, bare_lab):
    page.goto(f"{bare_lab.url}/data")
    settled(page)
    expect(page.get_by_text("MNIST is not on this machine yet.")).to_be_visible()
    images = page.locator("[data-testid='stImage'] img")
    expect(images).to_have_count(25 + 10 + 16)
    page.wait_for_function(
        "() => [...document.querySelectorAll(\"[data-testid='stImage'] img\")].every(i => i.naturalWidth > 0)",
    )
    before = addresses(page)

    page.get_by_role("button", name="Reshuffle").first.click()
    page.wait_for_function(
        "first => document.querySelector(\"[data-testid='stImage'] img\").src !== first", arg=before[0]
    )
    settled(page)
    after = addresses(page)
    assert after[25:] == before[25:]
    assert after[:25] != before[:25]


def test_charts_are_drawn_and_follow_the_seed(page, bare_lab):
    page.goto(f"{bare_lab.url}/data")
    settled(page)
    chart = "[data-testid='live-chart'][data-key='digits-{}']"
    expect(page.locator(chart.format("counts"))).to_have_attribute("data-points", "30")
    for name in ("stored", "standard"):
        expect(page.locator(chart.format(name))).to_have_attribute("data-points", "256")
    squares = f'JSON.stringify(document.querySelector("{chart.format("split")}")._fullData[0].z)'
    page.wait_for_function(f'() => document.querySelector("{chart.format("split")}")?._fullData')
    before = page.evaluate(squares)
    seed = page.get_by_role("spinbutton", name="Seed")
    seed.fill("3")
    seed.press("Enter")
    page.wait_for_function(f"before => {squares} !== before", arg=before)
