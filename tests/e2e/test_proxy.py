"""The lab behind a proxy under a path: every page, the live answer, an upload with its cookie, curves as events."""

from __future__ import annotations

from urllib.parse import urlsplit

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.e2e.lab import SEVEN, draw, lab, settled
from tests.helpers.files import encoded
from tests.helpers.proxy import proxy

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def behind(tmp_path_factory):
    folder = tmp_path_factory.mktemp("behind")
    with (
        lab(folder, folder / "no-data", "--server.baseUrlPath", "lab", path="/lab") as running,
        proxy(urlsplit(running.url).port or 0, "/lab/") as front,
    ):
        yield front


def test_drawing_and_uploads_work_below_the_path(page, behind):
    page.goto(f"{behind.url}draw?model=pen")
    settled(page)
    page.wait_for_selector("canvas.upper-canvas")
    with page.expect_response(lambda answer: "/lab/api/predict" in answer.url) as live:
        draw(page, SEVEN)
    assert live.value.status == 200
    expect(page.locator("[data-testid='answer']")).to_contain_text("7")
    page.get_by_text("Upload", exact=True).click()
    picture = np.full((200, 200), 255, np.uint8)
    picture[40:160, 95:105] = 0
    page.locator("input[type=file]").set_input_files(
        {"name": "one.png", "mimeType": "image/png", "buffer": encoded(picture)}
    )
    expect(page.get_by_text("Your picture")).to_be_visible()
    cookies = {cookie["name"] for cookie in page.context.cookies()}
    assert "_streamlit_xsrf" in cookies


def test_a_training_below_the_path_shows_its_curves(page, behind):
    page.goto(behind.url)
    settled(page)
    page.get_by_role("link", name="Train", exact=True).first.click()
    page.wait_for_url("**/lab/train*")
    settled(page)
    page.goto(f"{behind.url}train?recipe=mlp-baseline&dataset=digits&epochs=2")
    settled(page)
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_text("Finished")).to_be_visible()
    chart = "document.querySelector(\"[data-testid='live-chart'][data-key='loss']\")"
    page.wait_for_function(f"({chart}?._fullData || []).some(line => line.name === 'train' && line.x.length > 1)")
    for name in ("results", "compare", "data"):
        page.goto(f"{behind.url}{name}")
        settled(page)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
    elsewhere = [path for path in behind.refused if path != "/favicon.ico"]
    assert elsewhere == []  # nothing is asked for outside of the path
