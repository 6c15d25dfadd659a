"""Claims: Replay's slider answers in < 300 ms, and the snapshots of a `quick` run are read in under half a minute.

    python -m benchmarks.replay [--epochs 2] [--moves 30]

Trains `quick` on MNIST (MNIST_LAB_DATA) in this process, keeping snapshots, then opens Replay in a real Chromium: from
the page's address to its pictures, at first and again, and from a move of the slider to the second frame painted after.
"""

from __future__ import annotations

import argparse
import statistics
import time

from playwright.sync_api import Browser

from benchmarks.page_speed import percentile
from mnist_core.recipes import get_recipe
from mnist_core.runs.execute import execute
from mnist_core.runs.run import Run, create_run
from mnist_core.runs.weight_snapshots import snapshots
from mnist_core.system.settings import data_folder
from tests.e2e.lab import Lab, measured_lab

MOVE = """number => new Promise(resolve => {
    const slider = document.querySelector(".frames input");
    const begun = performance.now();
    slider.value = number % (Number(slider.max) + 1);
    slider.dispatchEvent(new Event("input"));
    requestAnimationFrame(() => requestAnimationFrame(() => resolve(performance.now() - begun)));
})"""


def trained(running: Lab, epochs: int) -> Run:
    """A run of `quick` that kept its weights."""
    config = get_recipe("quick").config("mnist").replace(epochs=epochs, snapshots=True)
    run = create_run(config, running.runs_dir)
    execute(run, data_folder())
    return run


def opened(browser: Browser, running: Lab, run: Run, moves: int) -> tuple[float, list[float]]:
    """Seconds from the address to the pictures, and milliseconds of each move of the slider."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    begun = time.monotonic()
    page.goto(f"{running.url}/replay?run={run.id}")
    page.locator(".frames input").wait_for(timeout=300_000)
    seconds = time.monotonic() - begun
    page.wait_for_timeout(2000)
    taken = [page.evaluate(MOVE, 5 * number) for number in range(moves)]
    page.close()
    return seconds, taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--moves", type=int, default=30)
    options = parser.parse_args()
    with measured_lab() as (running, browser):
        run = trained(running, options.epochs)
        first, _ = opened(browser, running, run, 1)
        again, taken = opened(browser, running, run, options.moves)
        kept = snapshots(run).values()
        size = sum(path.stat().st_size for path in kept) / 1e6
        print(f"{len(kept)} snapshots of {size:.2f} MB; the page after {first:.1f} s, again after {again:.1f} s")
        print(
            f"slider to picture, {len(taken)} moves: median {statistics.median(taken):.0f} ms, "
            f"95th percentile {percentile(taken, 0.95):.0f} ms, longest {max(taken):.0f} ms"
        )


if __name__ == "__main__":
    main()
