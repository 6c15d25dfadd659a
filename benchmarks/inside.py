"""Claims: from the end of a stroke to the strip of layers ≤ 300 ms (95th percentile), on Draw and on Inside; no view of
Inside, and none of one image on Results, keeps people waiting for more than 300 ms without a progress bar or a spinner.

    python -m benchmarks.inside [--strokes 60] [--models pen tiny] [--no-views]

Starts labs of its own with real MNIST (MNIST_LAB_DATA) and drives a real Chromium; times are taken inside the browser.
A stroke's time runs from letting go of the mouse to the first frame in which all pictures of the strip have been
replaced and decoded (but one, which may be the same as before). For the views each model gets a fresh server, whose
caches are cold: a view's first sign is the first frame with a progress bar or a spinner, or with the finished view.
"""

from __future__ import annotations

import argparse
import os
import random

from playwright.sync_api import Locator, Page

from benchmarks.many_people import row
from benchmarks.page_speed import open_page, watch
from tests.e2e.lab import draw, measured_lab, settled

AIM = 300  # milliseconds
STRIP = "[...document.querySelectorAll(\"[class*='-layer-strip'] img\")]"
REPLACED = (
    f"((now) => now.length > 1 && now.every(i => i.complete && i.naturalWidth) && "
    f"now.filter((image, place) => image.src === window.before[place]).length <= 1)({STRIP})"
)
# `measured` resolves to [ms to the first sign, ms to the end] of the script run that the next click begins
SIGNS = """() => {
    const still = () => document.querySelector("[data-testid='stApp']").dataset.testScriptState === "notRunning";
    window.measured = new Promise(resolve => {
        window.addEventListener("click", () => {
            const start = performance.now();
            let began = false, sign = null;
            const look = () => {
                const now = performance.now() - start;
                began = began || !still();
                const shown = document.querySelector("[data-testid='stProgress'], [data-testid='stSpinner']");
                if (began && shown && sign === null) sign = now;
                if (began && still()) return resolve([sign === null ? now : sign, now]);
                if (now > 60000) return resolve([now, now]);
                requestAnimationFrame(look);
            };
            requestAnimationFrame(look);
        }, {capture: true, once: true});
    });
}"""


def strokes(page: Page, count: int) -> list[float]:
    """Milliseconds from the end of each of `count` strokes to the strip that shows it; cleared before every third."""
    chance, taken = random.Random(0), []
    for number in range(-1, count):  # the first makes the strip appear
        if number > 0 and number % 2 == 0:
            page.get_by_role("button", name="Clear").last.click()
            page.wait_for_timeout(1000)
            draw(page, [[(140, 60), (140, 220)]])
            page.wait_for_timeout(2000)
        page.evaluate(f"window.before = {STRIP}.map(image => image.src)")
        watch(page, "mouseup", REPLACED)
        draw(page, [[(chance.randint(40, 240), chance.randint(40, 240)) for _ in range(3)]])
        found = page.evaluate("Promise.race([window.measured, new Promise(r => setTimeout(r, 10000))])") or 10_000.0
        if number >= 0:
            taken.append(found)
        page.wait_for_timeout(700)
    return taken


def views(model: str) -> list[tuple[str, float, float]]:
    """(view, milliseconds to the first sign, milliseconds to the end) of each view of a fresh server."""
    found: list[tuple[str, float, float]] = []
    with measured_lab() as (running, browser):
        page = open_page(browser, running, f"inside?model={model}&image=test:7", rest=5.0)

        def click(what: str, target: Locator) -> None:
            if target.count():
                page.evaluate(SIGNS)
                target.first.click()
                found.append((what, *page.evaluate("window.measured")))
                page.wait_for_timeout(500)

        layers = page.locator("[class*='inside-layer-strip'] [kind='tertiary']:visible")
        for place in range(min(layers.count(), 4)):
            click(f"layer {place + 1}", layers.nth(place))
        click("what a unit wants to see", page.locator("label", has_text="What this unit wants to see"))
        click("integrated gradients", page.get_by_text("Where it looked", exact=True))
        for method in ("Occlusion", "Grad-CAM"):
            click(method, page.get_by_role("radio", name=method))
        page.close()
        page = open_page(browser, running, f"results?model={model}", rest=3.0)
        page.evaluate(SIGNS)
        page.get_by_text("why?").first.click()
        found.append(("one image of Results", *page.evaluate("window.measured")))
        page.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strokes", type=int, default=60)
    parser.add_argument("--models", nargs="+", default=["pen", "tiny"])
    parser.add_argument("--no-views", action="store_true")
    options = parser.parse_args()
    if options.strokes:
        with measured_lab() as (running, browser):
            for model in options.models:
                for name in ("draw", "inside"):
                    page = open_page(browser, running, f"{name}?model={model}", rest=5.0)
                    if name == "draw":
                        page.locator("label", has_text="Show what every layer makes of it").click()
                    else:
                        page.get_by_text("Your drawing").click()
                    settled(page)
                    taken = strokes(page, options.strokes)
                    print(
                        row(f"{model}: a stroke's end to its layers on {name.capitalize()}", taken, f" (aim: {AIM} ms)")
                    )
                    page.close()
    for model in [] if options.no_views else options.models:
        for what, sign, end in views(model):
            late = "" if sign <= AIM else f"  above {AIM} ms"
            print(f"{model}: {what}: first sign after {sign:.0f} ms, done after {end:.0f} ms{late}", flush=True)
    print(f"({os.cpu_count()} cores, all on the same machine)")


if __name__ == "__main__":
    main()
