"""From a drawing to what the network made of it, and from a mistake to its cause: as a person walks it."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.lab import Lab, draw, settled

pytestmark = pytest.mark.browser
FOUR = [[(90, 40), (65, 160), (210, 160)], [(165, 60), (155, 235)]]


def link(page: Page, label: str | re.Pattern[str]) -> Locator:
    return page.locator("[data-testid='stPageLink']", has_text=label)


def headline(page: Page, text: str | re.Pattern[str]) -> Locator:
    return page.locator("h3", has_text=text)


def click_point(page: Page, plot: Locator, number: int) -> None:
    """Clicks the marker of that number in a Plotly figure: transparent, it does not take Playwright's own click."""
    point = plot.locator(".scatterlayer .points path").nth(number)
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


@pytest.mark.mnist
def test_a_student_goes_from_a_drawing_to_a_cause(page, mnist_lab):
    draw_a_four_and_find_the_crossbar(page, mnist_lab)
    row = open_the_worst_pair_and_its_first_image(page)
    see_its_causes(page)
    vote(page, mnist_lab)
    open_it_in_draw(page, row)


def draw_a_four_and_find_the_crossbar(page: Page, mnist_lab: Lab) -> None:
    page.goto(f"{mnist_lab.url}/inside?model=pen")
    settled(page)
    page.get_by_text("Your drawing").click()  # without one, a test image is shown
    expect(page.get_by_text("Draw something, and every layer")).to_be_visible()
    draw(page, FOUR)
    expect(headline(page, re.compile(r"^4 · "))).to_be_visible()
    page.get_by_role("button", name="1. Conv2d 16×28×28").click()
    expect(headline(page, "Conv2d 16×28×28")).to_be_visible()
    settled(page)
    # a click on a map chooses it
    maps = page.locator(".js-plotly-plot", has=page.locator(".heatmaplayer")).first
    expect(maps.locator(".scatterlayer .points path")).to_have_count(16)
    click_point(page, maps, 6)
    expect(page.get_by_role("spinbutton", name="Unit")).to_have_value("6")
    # a move of the position by keyboard changes the arithmetic
    table = page.locator("table", has_text="sum of 9 products")
    before = table.inner_text()
    slider = page.get_by_role("slider", name="Row")
    slider.focus()
    slider.press("ArrowRight")
    expect(table).not_to_have_text(before)
    expect(table).to_contain_text("BatchNorm2d")
    expect(page.get_by_text(re.compile("the network's own numbers differ by"))).to_be_visible()
    assert "unit=6" in page.url
    assert "layer=0" in page.url


def open_the_worst_pair_and_its_first_image(page: Page) -> int:
    link(page, "Results").click()
    expect(page.locator("[data-testid='stMetric']", has_text="Accuracy")).to_be_visible()
    settled(page)
    expect(page.get_by_text(re.compile(r"interval of the accuracy"))).to_be_visible()
    # the worst pair is shown at first; its darkest cell is clicked nevertheless
    plot = page.locator(".js-plotly-plot", has=page.locator(".heatmaplayer")).first
    expect(plot.locator(".scatterlayer .points path")).to_have_count(100)
    true, predicted = (int(re.search(rf"{name}=(\d)", page.url).group(1)) for name in ("true", "predicted"))
    click_point(page, plot, 10 * true + predicted)
    expect(page.get_by_text(re.compile(rf"\d+ × {true} read as {predicted}"))).to_be_visible()
    settled(page)
    first = link(page, "why?").first
    row = int(first.inner_text().split(":")[0])
    first.get_by_role("link").first.focus()
    page.keyboard.press("Enter")
    expect(headline(page, f"Test image {row}: labelled {true}, read as {predicted}")).to_be_visible()
    expect(page).to_have_url(re.compile(f"image=test%3A{row}$"))
    return row


def see_its_causes(page: Page) -> None:
    expect(page.get_by_text("What the network looked at")).to_be_visible()
    expect(page.get_by_text(re.compile(r", its label$"))).to_be_visible()
    expect(page.get_by_text(re.compile(r", the answer$"))).to_be_visible()
    expect(page.get_by_text(re.compile("The eight nearest by the network's own last features"))).to_be_visible()
    expect(page.get_by_text(re.compile(r"set to black or white \(framed\)"))).to_be_visible()
    settled(page)
    address = page.url
    page.reload()  # the address holds the place
    settled(page)
    expect(headline(page, re.compile("^Test image"))).to_be_visible()
    assert page.url == address


def vote(page: Page, mnist_lab: Lab) -> None:
    page.get_by_role("combobox", name="Your vote").click()
    page.keyboard.type("4")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Vote", exact=True).click()
    expect(page.get_by_text("Thank you: you said 4.")).to_be_visible()
    expect(page.get_by_text(re.compile("Votes so far: 4: 1"))).to_be_visible()
    (line,) = (mnist_lab.runs_dir / "votes.jsonl").read_text().splitlines()
    assert json.loads(line)["said"] == "4"


def open_it_in_draw(page: Page, row: int) -> None:
    assert str(row) in page.url
    link(page, "Open in Draw").click()
    settled(page)
    expect(page.get_by_role("button", name="Clear")).to_be_enabled()  # the image is on the canvas
    answer = page.locator(".answer")
    expect(answer).not_to_contain_text("Draw a digit")
    before = answer.inner_text()
    draw(page, [[(120, 20), (120, 220)]])
    expect(answer).not_to_have_text(before)
