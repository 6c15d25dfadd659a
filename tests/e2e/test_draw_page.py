"""The Draw page in a browser: the answer follows the pen, on any screen, with or without the route behind it."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

from mnist_core.models.checkpoint import update_card
from mnist_core.recipes import get_recipe
from mnist_core.runs.execute import execute
from mnist_core.runs.run import create_run
from tests.e2e.lab import SEVEN, draw, lab, on_canvas, settled

pytestmark = pytest.mark.browser
VALUES = "JSON.stringify([...document.querySelectorAll('.answer-bars li')].map(bar => Number(bar.dataset.value)))"
CANVAS = "document.querySelector('.st-key-paper [data-testid=stBidiComponentIsolated]').shadowRoot"
PHONE = {"width": 390, "height": 844}


def open_draw(page: Page, url: str, query: str = "") -> None:
    page.goto(f"{url}/draw{query}")
    settled(page)
    page.locator("canvas.upper-canvas").wait_for()


def answer(page: Page, digit: str, source: str = "page"):
    """The answer, once it is `digit`; `source` is what has given it: "pen", "pen-up" or "page" (Streamlit)."""
    return page.locator(f"[data-testid='answer'][data-digit='{digit}'][data-source='{source}']")


def headline(page: Page):
    return page.locator("[data-testid='answer-digit']")


def hold(page: Page, points: list[tuple[float, float]]) -> None:
    """Draws a line and keeps the pen down."""
    page.mouse.move(*on_canvas(page, points[0]))
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*on_canvas(page, point), steps=10)


def test_the_answer_follows_the_pen_and_stays(page, bare_lab):
    open_draw(page, bare_lab.url)
    expect(headline(page)).to_have_text("Draw a digit")
    hold(page, SEVEN[0])
    answer(page, "7", "pen").wait_for()
    assert page.evaluate("getComputedStyle(document.querySelector('.st-key-paper'), '::before').display") == "none"
    page.mouse.up()
    answer(page, "7", "pen-up").or_(answer(page, "7", "page")).wait_for()
    answer(page, "7", "page").wait_for()
    expect(page.locator("[data-testid='answer'] [aria-live]")).to_contain_text("7. The model is")

    # a stroke that goes on while Streamlit answers the one before is not disturbed
    hold(page, [(60, 220), (240, 220), (60, 120)])
    moved = page.evaluate(VALUES)
    page.wait_for_timeout(600)
    page.mouse.move(*on_canvas(page, (61, 121)))
    expect(page.locator("[data-testid='answer'][data-source='pen']")).to_be_visible()
    assert json.loads(moved) != []
    page.mouse.up()


def test_a_picture_gives_the_same_numbers_by_both_ways(page, bare_lab):
    open_draw(page, bare_lab.url)
    sent = []
    page.on("request", lambda request: sent.append(request) if "/api/predict" in request.url else None)
    draw(page, SEVEN)
    answer(page, "7", "page").wait_for()
    shown = json.loads(page.evaluate(VALUES))
    last = page.evaluate(f"{CANVAS}.querySelectorAll('canvas.lower-canvas')[1].toDataURL()")
    posted = sent[-1].post_data_buffer
    drawn = Image.open(io.BytesIO(base64.b64decode(last.split(",")[1])))
    assert np.array_equal(np.asarray(drawn), np.asarray(Image.open(io.BytesIO(posted))))
    # the picture at pen-up is the whole canvas, those before are half as wide
    assert drawn.size == (560, 560)
    assert Image.open(io.BytesIO(sent[0].post_data_buffer)).size == (280, 280)
    reply = page.request.post(sent[-1].url, data=posted, headers={"Content-Type": "image/png"}).json()
    assert shown == reply["probabilities"]


def test_keys_clear_and_undo_but_not_in_a_field(page, bare_lab):
    open_draw(page, bare_lab.url)
    for key in ("Escape", "c"):
        draw(page, SEVEN)
        answer(page, "7").wait_for()
        page.keyboard.press(key)
        expect(headline(page)).to_have_text("Draw a digit")
        settled(page)
    draw(page, SEVEN)
    answer(page, "7").wait_for()
    before = page.evaluate(VALUES)
    draw(page, [[(60, 220), (240, 220)]])
    page.locator("[data-testid='answer'][data-source='page'][data-strokes='2']").wait_for()
    assert page.evaluate(VALUES) != before
    page.keyboard.press("Control+z")
    page.wait_for_function(f"before => {VALUES} === before", arg=before)
    page.get_by_role("combobox", name="Model").click()
    page.keyboard.press("c")
    page.keyboard.press("Escape")
    page.wait_for_timeout(600)
    assert page.evaluate(VALUES) == before
    expect(page.get_by_role("dialog")).to_have_count(0)


@pytest.mark.parametrize("status", [404, 500, None])
def test_without_the_route_a_stroke_is_answered_after(status, page, bare_lab):
    def refuse(route: Route) -> None:
        route.abort() if status is None else route.fulfill(status=status, body="no")

    page.route("**/api/predict*", refuse)
    open_draw(page, bare_lab.url)
    draw(page, SEVEN)
    answer(page, "7", "page").wait_for()
    page.get_by_role("button", name="Clear").click()
    expect(headline(page)).to_have_text("Draw a digit")


def test_a_slow_model_is_said_to_be_loading(page, bare_lab):
    waiting: list[Route] = []
    page.route("**/api/predict*", lambda route: waiting.append(route))
    open_draw(page, bare_lab.url)
    expect(page.locator("[data-testid='answer-words']")).to_contain_text("The model is being loaded")
    (route,) = waiting
    route.continue_()
    expect(page.locator("[data-testid='answer-words']")).to_contain_text("The answer follows the pen")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_canvas_and_answer_together(scheme, browser, bare_lab):
    context = browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True, color_scheme=scheme)
    page = context.new_page()
    open_draw(page, bare_lab.url)
    wire = context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        at = [dict(zip("xy", on_canvas(page, point), strict=True)) for point in points]
        wire.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})

    (start, *corners) = SEVEN[0]
    touch("touchStart", start)
    for one, other in zip([start, *corners], corners, strict=False):
        for step in range(1, 9):
            touch("touchMove", tuple(a + (b - a) * step / 8 for a, b in zip(one, other, strict=True)))
    answer(page, "7", "pen").wait_for()
    touch("touchEnd")
    answer(page, "7").wait_for()
    paper = page.locator(".st-key-paper").bounding_box()
    assert paper["width"] == paper["height"] == 358
    for part in (".st-key-paper", "[data-testid='answer']"):
        box = page.locator(part).bounding_box()
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= PHONE["height"]
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    # the ink has the contrast of text on its paper, whatever the theme
    picture = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("L"), float) / 255
    ink, ground = (
        picture[round(y), round(x)] ** 2.2 for x, y in (on_canvas(page, (140, 70)), on_canvas(page, (40, 200)))
    )
    assert (max(ink, ground) + 0.05) / (min(ink, ground) + 0.05) > 7
    assert (ink < ground) == (scheme == "light")
    context.close()


def test_a_wide_screen_shows_all_without_scrolling(page, bare_lab):
    open_draw(page, bare_lab.url)
    draw(page, SEVEN)
    answer(page, "7").wait_for()
    paper = page.locator(".st-key-paper").bounding_box()
    assert paper["width"] == paper["height"] == 480
    for part in ("[data-testid='answer']", ".st-key-draw"):
        box = page.locator(part).bounding_box()
        assert box["y"] + box["height"] <= 900


def test_two_tabs_have_a_canvas_each(page, bare_lab):
    open_draw(page, bare_lab.url)
    other = page.context.new_page()
    open_draw(other, bare_lab.url)
    hold(page, SEVEN[0])
    answer(page, "7", "pen").wait_for()
    draw(other, [[(140, 50), (140, 230)]])
    answer(other, "1").wait_for()
    page.mouse.up()
    answer(page, "7").wait_for()
    expect(answer(other, "1")).to_be_visible()


def test_names_are_text_and_a_link_begins_a_drawing(page, tmp_path, chromium_path):
    names = ["<img src=x onerror=alert(1)>", "größer als alles, was auf eine Zeile passt", "数字の七", *"abcdefg"]
    with lab(tmp_path, tmp_path / "no-data") as fresh:
        run = create_run(get_recipe("quick").config("digits").replace(epochs=1), fresh.runs_dir)
        execute(run)
        # a link to an image: it is on the canvas, and one stroke further it is still under it
        open_draw(page, fresh.url, f"?model={run.id}&image=test:3")
        expect(page.locator("[data-testid='answer']")).not_to_have_attribute("data-digit", "")
        bright = f"[...{CANVAS}.querySelectorAll('canvas.lower-canvas')[1].getContext('2d')"
        bright += ".getImageData(0, 0, 560, 560).data]"
        bright += ".filter((value, i) => i % 4 === 0 && value > 128).length"
        page.wait_for_function(f"() => {bright} > 5000")
        draw(page, [[(20, 20), (40, 20)]])
        page.wait_for_function("() => document.querySelector('[data-testid=answer]').dataset.source === 'page'")
        assert page.evaluate(bright) > 5000
        page.get_by_role("button", name="Clear").click()
        expect(headline(page)).to_have_text("Draw a digit")

        update_card(run.checkpoint(), classes=names)
        open_draw(page, fresh.url, f"?model={run.id}")
        expect(page.locator(".answer-name")).to_have_text(names)
        draw(page, SEVEN)
        expect(page.locator("[data-testid='answer'][data-source='page']")).not_to_have_attribute("data-digit", "")
        expect(page.locator("[data-testid='answer'] img")).to_have_count(0)
        assert page.evaluate("document.documentElement.scrollWidth") == 1440


def test_a_late_reply_does_not_replace_the_answer(page, bare_lab):
    late: list[Route] = []
    page.route("**/api/predict*", lambda route: late.append(route))
    open_draw(page, bare_lab.url)
    draw(page, SEVEN)
    answer(page, "7", "page").wait_for()
    draws = page.locator("[data-testid='answer']").get_attribute("data-draws")
    wrong = {"digit": 3, "confidence": 1.0, "probabilities": [0, 0, 0, 1, 0, 0, 0, 0, 0, 0], "input": None}
    for route in late:
        route.fulfill(json={**wrong, "rejection": None})
    page.wait_for_timeout(500)
    expect(answer(page, "7", "page")).to_have_attribute("data-draws", draws)
