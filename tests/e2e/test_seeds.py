"""Several seeds at one click, and the learning-rate finder, as a person meets them: in a browser, on `digits`."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from mnist_core.runs.run import list_runs
from tests.e2e.lab import Lab, settled

pytestmark = pytest.mark.browser
LOSS = "[data-testid='live-chart'][data-key='loss']"


def open_page(page: Page, url: str) -> None:
    page.goto(url)
    settled(page)


def test_seeds_are_a_mean_with_a_band_and_one_row(page: Page, bare_lab: Lab):
    open_page(page, f"{bare_lab.url}/train?recipe=mlp-baseline&dataset=digits&epochs=3")
    number = page.get_by_role("spinbutton", name="Trainings at one click (×)")
    number.fill("2")
    number.press("Enter")
    page.get_by_role("button", name="× 2 seeds").click()
    expect(page.get_by_text("All 2 seeds together")).to_be_visible()
    expect(page.get_by_text("2 of 2 seeds ended")).to_be_visible(timeout=300_000)
    band = page.wait_for_function(
        f"""() => {{
            const traces = document.querySelector("{LOSS}")?._fullData ?? [];
            const [area] = traces.filter((trace) => trace.name === "validation, mean ± sd band");
            const filled = document.querySelectorAll("{LOSS} .fills path").length;
            return area?.x.length === 6 && filled > 1 && [area.y[0], area.y[5]];
        }}"""
    ).json_value()
    assert band[0] > band[1], "the upper edge lies above the lower one: the seeds differ"
    expect(page.get_by_text("Test accuracy, 2 seeds")).to_be_visible()
    expect(page.get_by_text(re.compile(r"^\d\d\.\d\d ± \d+\.\d\d %$")).first).to_be_visible()

    ids = [run.id for run in list_runs(bare_lab.runs_dir)][::-1]
    page.get_by_role("link", name="Compare them with other runs").click()
    settled(page)
    expect(page.get_by_text(re.compile("2 seeds .0–1.$")).first).to_be_visible()
    assert all(run_id in page.url for run_id in ids)
    expect(page.get_by_text("The 2 single runs")).to_be_visible()
    expect(page.locator("[data-testid='live-chart'][data-key='compare-loss'] .fills path").first).to_be_visible()


def test_a_suggested_rate_is_taken_into_the_field(page: Page, bare_lab: Lab):
    before = list_runs(bare_lab.runs_dir)
    # so small a rate that no test suggests it
    open_page(page, f"{bare_lab.url}/train?recipe=mlp-baseline&dataset=digits&learning_rate=0.00001")
    page.get_by_text("Find a learning rate and a batch size").click()
    page.get_by_role("button", name="Find a learning rate").click()
    take = page.get_by_role("button", name=re.compile("^Take 0"))
    expect(take).to_be_visible(timeout=300_000)
    expect(page.locator("[data-testid='live-chart'][data-key='range-test'] .main-svg").first).to_be_visible()
    rate = re.search(r"Take ([\d.]+)", take.inner_text())[1]
    take.click()
    expect(page.get_by_role("button", name=f"{rate} is set")).to_be_visible()
    expect(page.get_by_role("slider", name="Learning rate")).to_have_attribute("aria-valuetext", rate)
    assert f"learning_rate={rate}" in page.url or rate == "0.001"  # which is the recipe's own
    assert list_runs(bare_lab.runs_dir) == before
