"""Whole numbers and framed photos on the Draw page in a browser."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from benchmarks.pictures import encoded, framed
from tests.e2e.lab import FLAGS, draw, settled
from tests.helpers import until
from tests.helpers.drawing import DIGITS

pytestmark = pytest.mark.browser
BOXES = (
    "() => document.querySelector('.st-key-paper-wide').style.getPropertyValue('--boxes').split('%3Crect').length - 1"
)


def open_draw(page: Page, url: str) -> None:
    page.goto(f"{url}/draw")
    settled(page)
    page.locator("canvas.upper-canvas").wait_for()


def choose(page: Page, name: str) -> None:
    page.get_by_role("radio", name=name).or_(page.get_by_text(name, exact=True)).first.click()
    settled(page)


def answer(page: Page, number: str):
    return page.locator(f"[data-testid='answer'][data-number='{number}'][data-source='page']")


def test_a_number_of_three_digits_is_drawn_and_read(page, bare_lab):
    open_draw(page, bare_lab.url)
    choose(page, "A number")
    paper = page.locator(".st-key-paper-wide").bounding_box()
    assert paper["width"] == pytest.approx(2.5 * paper["height"], abs=1)
    for place, digit in enumerate((4, 0, 7)):
        # in 280ths of the canvas's sides, which is 2.5 times as wide as high
        draw(page, [[(40 + 75 * place + 0.56 * x, 70 + 1.4 * y) for x, y in stroke] for stroke in DIGITS[digit]])
    answer(page, "407").wait_for()
    expect(page.locator("[data-testid='answer-digit']")).to_have_text("407")
    expect(page.locator(".answer-name")).to_have_text(["4", "0", "7"])
    assert page.evaluate(BOXES) == 3
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("[data-testid='answer-digit']")).to_have_text("Draw a number")
    assert page.evaluate(BOXES) == 0


def test_two_digits_on_the_square_canvas_are_a_number(page, bare_lab):
    open_draw(page, bare_lab.url)
    draw(page, [[(40, 70), (110, 70), (70, 210)], [(200, 70), (200, 210)]])
    answer(page, "71").wait_for()


def test_a_framed_photo_is_uploaded_and_read(page, bare_lab, tmp_path):
    picture = framed(DIGITS[5], "printed box", "photo", np.random.default_rng(0), "down")
    (tmp_path / "framed.jpg").write_bytes(encoded(Image.fromarray(picture), "JPEG", quality=90))
    open_draw(page, bare_lab.url)
    choose(page, "Upload")
    chooser = page.locator("[data-testid='stFileUploader'] input[type='file']")
    chooser.set_input_files(tmp_path / "framed.jpg")
    answer(page, "5").wait_for()
    # a picture from the clipboard takes its place
    seven = framed(DIGITS[7], "none", "paper", np.random.default_rng(1), "down")
    data = list(encoded(Image.fromarray(seven)))
    page.evaluate(
        """data => {
            const clipboardData = new DataTransfer();
            clipboardData.items.add(new File([new Uint8Array(data)], "image.png", { type: "image/png" }));
            window.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
        }""",
        data,
    )
    answer(page, "7").wait_for()


def test_a_photo_is_taken_with_the_camera_and_read(browser, chromium_path, bare_lab, tmp_path):
    picture = framed(DIGITS[3], "none", "photo", np.random.default_rng(0), "down")
    film = tmp_path / "camera.mjpeg"  # what Chromium shows in place of a camera: pictures one after the other
    film.write_bytes(10 * encoded(Image.fromarray(picture).convert("RGB").resize((640, 640)), "JPEG", quality=90))
    fake = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    camera = f"--use-file-for-fake-video-capture={film}"
    with browser.browser_type.launch(executable_path=chromium_path, args=[*FLAGS, *fake, camera]) as with_camera:
        page = with_camera.new_context(permissions=["camera"]).new_page()
        open_draw(page, bare_lab.url)
        choose(page, "Camera")
        # a picture before the first frame would show nothing
        video = page.locator("[data-testid='stCameraInput'] video")
        until(lambda: video.evaluate("each => each.currentTime > 0.2"))
        page.get_by_role("button", name="Take Photo").click()
        answer(page, "3").wait_for(timeout=60_000)
