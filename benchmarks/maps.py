"""Aims: the map of 10,000 test images by PCA appears within 3 s of the click; a lasso and a shift of the map follow the
hand (95th percentile of frames ≤ 50 ms); the image under the pointer comes within 100 ms, a lasso's images within 1 s.

    python -m benchmarks.maps [--model pen]

Starts a lab of its own with real MNIST (MNIST_LAB_DATA) and drives a real Chromium; times are taken from outside, but
for frames. t-SNE is measured for the record: its bar moves meanwhile.
"""

from __future__ import annotations

import argparse
import math
import os
import time

from playwright.sync_api import Locator, Page

from benchmarks.many_people import row
from tests.e2e.lab import measured_lab, settled

SAID = {"PCA": "directions in which the features", "t-SNE": "near points have similar features"}  # under the map
FRAMES = """() => {
    window.frames_ = [];
    let last = performance.now();
    const look = (now) => { window.frames_.push(now - last); last = now; requestAnimationFrame(look); };
    requestAnimationFrame(look);
}"""


def seconds_to_map(page: Page, method: str) -> float:
    """From the click on the method's name to its map."""
    begun = time.perf_counter()
    page.get_by_text(method, exact=True).click()
    page.get_by_text(SAID[method]).wait_for(timeout=600_000)
    page.locator("[data-key$='-points'] .live-chart-points").wait_for()
    taken = time.perf_counter() - begun
    settled(page)
    page.locator("[data-key$='-points']").scroll_into_view_if_needed()
    page.wait_for_timeout(1000)
    return taken


def dragged(page: Page, path: list[tuple[float, float]]) -> list[float]:
    """Milliseconds of the frames while the mouse follows the path with its button held; it is still held after it."""
    page.mouse.move(*path[0])
    page.mouse.down()
    page.evaluate("() => { window.frames_.length = 0; }")
    for point in path[1:]:
        page.mouse.move(*point)
    found: list[float] = page.evaluate("() => window.frames_")
    return found


def image_milliseconds(page: Page, chart: Locator, start: tuple[float, float]) -> list[float]:
    """From the pointer over a point to its image, for images that the browser has not seen."""
    taken, image, seen = [], chart.locator(".live-chart-tip img"), set()
    for step in range(300):
        page.mouse.move(start[0] + step % 20 * 4, start[1] + step // 20 * 4)
        begun = time.perf_counter()
        source = image.get_attribute("src")
        if source and source not in seen:
            seen.add(source)
            page.wait_for_function("image => image.complete && image.naturalWidth", arg=image.element_handle())
            taken.append(1000 * (time.perf_counter() - begun))
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="pen")
    model = parser.parse_args().model
    with measured_lab() as (lab, browser):
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(f"{lab.url}/results?model={model}&data=mnist")
        page.get_by_text("Map of the test images").wait_for(timeout=120_000)
        settled(page)
        print(f"PCA, from click to map: {seconds_to_map(page, 'PCA'):.1f} s (aim: 3)")
        page.evaluate(FRAMES)
        chart = page.locator("[data-key$='-points']")
        box = chart.bounding_box()
        assert box is not None
        x, y = box["x"] + 0.4 * box["width"], box["y"] + 0.5 * box["height"]
        images = image_milliseconds(page, chart, (x, y))
        print(row("images under the pointer", images, " (aim: 100)"))
        circle = [(x + 80 * math.cos(turn / 10), y + 80 * math.sin(turn / 10)) for turn in range(63)]
        print(row("frames of a lasso", dragged(page, circle), " (aim: 50)"))
        begun = time.perf_counter()
        page.mouse.up()
        page.get_by_text("within the lasso").first.wait_for()
        print(row("a lasso's images", [1000 * (time.perf_counter() - begun)], " (aim: 1,000)"))
        settled(page)
        page.get_by_role("button", name="Move", exact=True).click()
        shift = [(x + step, y + step / 2) for step in range(100)]
        print(row("frames of a shift", dragged(page, shift), " (aim: 50)"))
        page.mouse.up()
        print(f"t-SNE, from click to map: {seconds_to_map(page, 't-SNE'):.0f} s")
    print(f"load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
