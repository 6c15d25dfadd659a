"""The pictures of the README and of docs/: `python -m benchmarks.screenshots [FOLDER]` (default: docs).

Starts a lab with no runs and real MNIST (MNIST_LAB_DATA), trains `quick` in it, draws a seven, and takes a picture of
each page that the documents show, wide and light. With --all of every page, also on a phone and in the dark, into
FOLDER, for looking at after a change.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from pathlib import Path

from playwright.sync_api import Page, expect

from mnist_core.system.settings import data_folder
from tests.e2e.lab import ROOT, SEVEN, chromium, draw, lab, settled

SIZES = {"wide": (1440, 900), "phone": (390, 844)}
SHOWN = ("train", "draw", "results", "data")  # by the documents


def take(page: Page, path: Path, whole: bool) -> None:
    """A picture of the window, or of all that one could scroll to."""
    page.wait_for_timeout(1500)
    size = page.viewport_size
    if whole and size:
        height = page.evaluate("document.querySelector('.stMainBlockContainer').scrollHeight")
        page.set_viewport_size({"width": size["width"], "height": min(max(height, size["height"]), 4000)})
        page.wait_for_timeout(1500)
    page.screenshot(path=path)
    if whole and size:
        page.set_viewport_size(size)
    print(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "docs")
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    looks = itertools.product(SIZES, ("light", "dark")) if options.all else [("wide", "light")]
    with (
        tempfile.TemporaryDirectory() as scratch,
        lab(Path(scratch), data_folder().resolve()) as running,
        chromium() as browser,
    ):
        for number, (size, scheme) in enumerate(looks):
            width, height = SIZES[size]
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            suffix = f"-{size}-{scheme}" if options.all else ""
            for name in (*SHOWN, "inside", "compare", "home") if options.all else SHOWN:
                page.goto(f"{running.url}/{'' if name == 'home' else name}")
                settled(page)
                if name == "train" and number == 0:
                    page.get_by_role("button", name="Run", exact=True).click()
                    expect(page.get_by_text("Finished")).to_be_visible(timeout=300_000)
                if name == "draw":
                    page.wait_for_selector("canvas.upper-canvas")
                    draw(page, SEVEN)
                take(page, options.folder / f"{name}{suffix}.png", whole=options.all)
            page.close()


if __name__ == "__main__":
    main()
