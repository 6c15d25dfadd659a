"""A network over time, in a browser: while it trains, and played again afterwards."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from mnist_core.runs.looks import is_asked, newest
from mnist_core.runs.run import list_runs
from tests.e2e.lab import SEVEN, draw, settled
from tests.helpers import until

pytestmark = pytest.mark.browser


def test_a_student_plays_how_a_network_learned(page, bare_lab):
    page.goto(f"{bare_lab.url}/replay")
    page.get_by_text("Train one that keeps its weights").click()
    settled(page)
    expect(page.get_by_text("Keep the weights on the way, for Replay")).to_be_visible()
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_text("Finished")).to_be_visible(timeout=300_000)  # the worker begins with this run
    page.goto(f"{bare_lab.url}/replay")
    frames = page.get_by_test_id("frames")
    slider = page.get_by_role("slider", name="Snapshot")
    expect(slider).to_be_visible()
    last = frames.get_attribute("data-step")
    matrix = frames.get_by_role("img", name=re.compile("^Confusion matrix"))
    learned = matrix.get_attribute("aria-label")
    # the keyboard moves the slider, all pictures with it, and then the address
    slider.press("Home")
    expect(frames).to_have_attribute("data-step", "0")
    assert matrix.get_attribute("aria-label") != learned
    slider.press("ArrowRight")
    slider.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuetext", re.compile("^step 2 · epoch"))
    expect(page).to_have_url(re.compile("step=2$"))
    settled(page)
    expect(frames).to_have_attribute("data-step", "2")
    # playing goes on from there, stops when it is told, and begins anew at the end
    page.get_by_role("button", name="Play").click()
    expect(frames).to_have_attribute("data-step", "4")
    page.get_by_role("button", name="Stop").click()
    stopped = frames.get_attribute("data-step")
    expect(page).to_have_url(re.compile(f"step={stopped}$"))
    assert frames.get_attribute("data-step") == stopped
    slider.press("End")
    expect(frames).to_have_attribute("data-step", str(last))
    # the address leads there again
    page.goto(f"{bare_lab.url}/{page.url.rsplit('/', 1)[-1].split('step=')[0]}step=8")
    expect(frames).to_have_attribute("data-step", "8")


def test_a_student_looks_inside_a_training_and_draws_at_it(page, bare_lab):
    page.goto(f"{bare_lab.url}/train?dataset=digits&epochs=200")
    settled(page)
    page.get_by_text("Look inside while it trains").wait_for(state="detached")
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_text("Look inside while it trains").click()
    frames = page.get_by_test_id("frames")
    expect(frames.locator(".frames-digit")).to_have_count(12)
    expect(frames.get_by_role("img", name=re.compile("^Learning rate, Norm of the weights"))).to_be_visible()
    before = frames.get_attribute("data-step")
    expect(frames).not_to_have_attribute("data-step", before)
    draw(page, SEVEN)
    expect(frames.get_by_role("heading", name="Your drawing")).to_be_visible()
    expect(frames.locator(".frames-answer strong")).to_have_text(re.compile(r"^\d · \d+ %$"))
    # switched off, nothing is asked or written any more
    page.get_by_text("Look inside while it trains").click()
    expect(frames).to_have_count(0)
    (run,) = [run for run in list_runs(bare_lab.runs_dir) if run.status().active]
    until(lambda: not is_asked(run))
    run.command("stop")
    until(lambda: not run.status().active)
    assert newest(run) is None
