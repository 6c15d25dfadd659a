"""Lessons, walked through as a student does: by address, on a fresh lab without MNIST and without runs."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.lab import SEVEN, Lab, draw, lab, settled
from ui.lessons.lesson import Lesson, Step, lessons

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def classroom(tmp_path_factory):
    folder = tmp_path_factory.mktemp("classroom")
    with lab(folder, folder / "no-data") as running:
        yield running


def panel(page: Page):
    return page.locator(".st-key-lesson")


def arrive(page: Page, number: int, lesson: Lesson) -> None:
    """Waits until that step, from 1, is shown whole."""
    expect(panel(page).get_by_text(f"Step {number} of {len(lesson.steps)}", exact=True)).to_be_visible()
    settled(page)


def do(page: Page, step: Step) -> None:
    """What the step asks for."""
    if step.guess is not None or step.counted:
        expect(panel(page).get_by_role("button", name="Next")).to_be_disabled()
        panel(page).get_by_role("radiogroup").locator("label").last.click()
    if step.run is not None:
        expect(panel(page).get_by_role("button", name="Next")).to_be_disabled()
        page.get_by_role("button", name=re.compile("^(Run|Queue)$")).first.click()
        expect(panel(page).get_by_text(re.compile("^Your run .* has ended"))).to_be_visible()


def begin(page: Page, classroom: Lab, name: str) -> Lesson:
    page.goto(f"{classroom.url}/?lesson={name}")
    settled(page)
    return lessons()[name]


def look_around(page: Page, step: Step) -> None:
    """What the lesson on dropout asks for on Replay and Results, up to a sentence on where the network fails."""
    if step.page == "replay":
        frames = page.get_by_test_id("frames")
        expect(frames).to_be_visible()
        slider = page.get_by_role("slider", name="Snapshot")
        slider.press("Home")
        expect(frames).to_have_attribute("data-step", "0")
        for _ in range(4):  # steps 1, 2, 4 and 6: an epoch has two, and its end is kept as well as the powers of two
            slider.press("ArrowRight")
        expect(frames).to_have_attribute("data-step", "6")
        expect(frames.get_by_role("img", name=re.compile("^Confusion matrix"))).to_be_visible()
    if step.page == "results" and "map" in step.address:
        chart = page.locator("[data-key$='-points']")
        expect(chart.locator(".live-chart-points")).to_be_visible()
        settled(page)
        chart.scroll_into_view_if_needed()
        box = chart.bounding_box()
        assert box is not None
        left, top, right, bottom = (
            box["x"] + 0.2 * box["width"],
            box["y"] + 0.2 * box["height"],
            box["x"] + 0.8 * box["width"],
            box["y"] + 0.8 * box["height"],
        )
        page.mouse.move(left, top)
        page.mouse.down()
        for x, y in ((right, top), (right, bottom), (left, bottom), (left, top)):
            page.mouse.move(x, y, steps=5)
        page.mouse.up()
        expect(page.get_by_text(re.compile(r"[1-9]\d* within the lasso on PCA")).first).to_be_visible()
        expect(page.locator(".st-key-selected [data-testid='stPageLink']").first).to_be_visible()
    if "corruption" in step.address:
        expect(
            page.get_by_text(re.compile(r"It fails at .*: [\d.]+% \([\d.]+–[\d.]+\) are read right"))
        ).to_be_visible()


@pytest.mark.parametrize("name", sorted(lessons()))
def test_every_lesson_can_be_walked_to_its_end(page, classroom, name):
    lesson = begin(page, classroom, name)
    for number, step in enumerate(lesson.steps, 1):
        arrive(page, number, lesson)
        if step.page is not None:
            expect(page).to_have_url(re.compile(rf"/{'' if step.page == 'home' else step.page}\?"))
        do(page, step)
        if name == "dropout":
            look_around(page, step)
        if step.reveal is not None:
            expect(panel(page).get_by_text("What happened:")).to_be_visible()
        said = panel(page).inner_text()
        assert "{" not in said
        assert "still to be made" not in said
        expect(page.get_by_test_id("stException")).to_have_count(0)
        expect(page.get_by_test_id("stAlertContentError")).to_have_count(0)
        panel(page).get_by_role("button", name="Finish" if number == len(lesson.steps) else "Next").click()
    expect(panel(page)).to_have_count(0)
    expect(page.get_by_text("Lessons", exact=True)).to_be_visible()


def test_a_lesson_begins_on_home_and_survives_a_reload(page, classroom):
    page.goto(classroom.url)
    settled(page)
    page.get_by_role("link", name="Learning rate too high").click()
    lesson = lessons()["learning-rate"]
    arrive(page, 1, lesson)
    panel(page).get_by_role("button", name="Next").click()
    arrive(page, 2, lesson)
    page.reload()
    arrive(page, 2, lesson)
    page.get_by_role("link", name="Draw", exact=True).first.click()
    page.wait_for_url("**/draw?*")
    arrive(page, 2, lesson)
    draw(page, SEVEN)  # the lesson is beside the page's own work
    expect(page.locator("[data-testid='answer']")).to_contain_text("7")
    panel(page).get_by_role("button", name="Leave the lesson").click()
    expect(panel(page)).to_have_count(0)
    assert "lesson" not in page.url


def test_a_link_hides_controls_and_is_passed_on(page, classroom):
    page.goto(f"{classroom.url}/train?recipe=quick&dataset=digits&dropout=0.5&hide=optimizer,augmentation,compare,name")
    settled(page)
    expect(page.get_by_text("Learning rate", exact=True).filter(visible=True)).to_be_visible()
    for gone in ("Optimizer", "Augmentation", "Your name"):
        expect(page.get_by_text(gone, exact=True)).to_have_count(0)
    expect(page.get_by_role("link", name="Compare", exact=True)).to_have_count(0)
    assert "hide=optimizer" in page.url
    page.get_by_role("link", name="Home", exact=True).first.click()
    expect(page.get_by_text("Lessons", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="Compare", exact=True)).to_have_count(0)
    page.goto(f"{classroom.url}/?lesson=nothing&hide=everything")
    expect(page.get_by_text("There is no lesson 'nothing'")).to_be_visible()
    expect(page.get_by_text("The address would hide what there is not: everything.")).to_be_visible()
