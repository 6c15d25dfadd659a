"""Claim: a page that watches a training takes ≤ 0.06 of a core in the browser and ≤ 0.03 in the server.

    python -m benchmarks.watching [--seconds 30] [--rounds 3] [--rate 200]

Starts a lab of its own and drives a real Chromium. Nothing trains: this process writes events at a constant rate, so
the figures do not hang on how much of the machine a training gets. Linux only: it reads /proc.
"""

from __future__ import annotations

import argparse
import contextlib
import threading
import time
from collections.abc import Iterator

from playwright.sync_api import Browser

from benchmarks.page_speed import LOSS, browser_processes, open_page, processor_seconds
from mnist_core.recipes import get_recipe
from mnist_core.runs.run import Run, create_run
from tests.e2e.lab import Lab, measured_lab
from tests.helpers.events import append, epoch, start, step

EPOCH = 430  # batches
SETTLING_SECONDS = 20.0


@contextlib.contextmanager
def written(running: Lab, rate: float) -> Iterator[Run]:
    """A run that seems to take `rate` batches a second."""
    run = create_run(get_recipe("quick").config("mnist").replace(epochs=200), running.runs_dir)
    stop = threading.Event()

    def write() -> None:
        begun, number = time.monotonic(), 0
        while not stop.wait(0.05):
            due = range(number + 1, int((time.monotonic() - begun) * rate) + 1)
            for number in due:
                append(run, {**step(number, rate=128 * rate), "accuracy": 1 - 1 / (number + 1), "lr": 0.01})
                if number % EPOCH == 0:
                    append(run, {**epoch(number // EPOCH), "step": number})

    with run.lock.acquire(timeout=0):
        run.set_status("running")
        append(run, start(steps_per_epoch=EPOCH, total_steps=200 * EPOCH, train_images=55_000))
        thread = threading.Thread(target=write)
        thread.start()
        try:
            yield run
        finally:
            stop.set()
            thread.join()
            run.finish("stopped")


def watched(browser: Browser, running: Lab, seconds: float, rate: float) -> tuple[float, float, float]:
    """Shares of a core that browser and server take, and drawings a second."""
    with written(running, rate):
        page = open_page(browser, running, "train", rest=SETTLING_SECONDS)
        draws = f"Number({LOSS}.dataset.draws)"
        before = processor_seconds(browser_processes()), processor_seconds([running.pid]), page.evaluate(draws)
        begun = time.monotonic()
        time.sleep(seconds)
        after = processor_seconds(browser_processes()), processor_seconds([running.pid]), page.evaluate(draws)
        lasted = time.monotonic() - begun
        page.close()
    browsing, serving, drawn = ((now - then) / lasted for now, then in zip(after, before, strict=True))
    return browsing, serving, drawn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=float, default=200, help="batches a second")
    options = parser.parse_args()
    with measured_lab() as (running, browser):
        for _ in range(options.rounds):
            browsing, serving, drawn = watched(browser, running, options.seconds, options.rate)
            print(f"browser {browsing:.3f} and server {serving:.3f} of a core; {drawn:.2f} drawings a second")


if __name__ == "__main__":
    main()
