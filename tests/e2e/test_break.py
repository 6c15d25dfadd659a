"""A model is broken in the browser: its curve falls, and the page says where it fails."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.e2e.lab import SEVEN, draw, settled

pytestmark = pytest.mark.browser


@pytest.mark.mnist
def test_from_a_broken_drawing_to_where_the_model_fails(page, mnist_lab):
    page.goto(f"{mnist_lab.url}/draw?model=pen")
    settled(page)
    draw(page, SEVEN)
    page.get_by_text("Break it", exact=True).click()
    page.get_by_role("radio", name="Rotation").click()
    expect(page.get_by_text(re.compile(r"it reads 7; at ±\d+° it reads \d"))).to_be_visible()
    page.get_by_text("How it does on many test images").click()

    expect(page.get_by_text(re.compile(r"It fails at ±\d+°: [\d.]+% \([\d.]+–[\d.]+\) are read right"))).to_be_visible()
    curve = page.locator(".js-plotly-plot", has_text="Rotation: angle")
    expect(curve.locator(".scatterlayer .trace").nth(1).locator(".point")).to_have_count(8)
    expect(page.get_by_alt_text(re.compile(r"^Test image \d+ with rotation, "))).to_have_count(8)
    page.wait_for_url(re.compile(r"/results\?.*corruption=rotation"))
    assert "model=pen" in page.url
    page.reload()  # the address leads back to the curve
    expect(page.get_by_text(re.compile(r"It fails at ±\d+°"))).to_be_visible()
