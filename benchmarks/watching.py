"""Claims: a page that watches a training takes ≤ 0.06 of a core in the browser and ≤ 0.03 in the server; one that
looks inside takes, with what the training's process does for it, ≤ 0.14 of a core in all: 7 % of two cores.

    python -m benchmarks.watching [--seconds 30] [--rounds 3] [--rate 200] [--inside]

Starts a lab of its own and drives a real Chromium. Nothing trains: this process writes events at a constant rate, and
with `--inside` looks as a training does, so the figures do not hang on how much of the machine a training gets. Linux
only: it reads /proc.
"""

from __future__ import annotations

import argparse
import contextlib
import threading
import time
from collections.abc import Iterator

from playwright.sync_api import Browser

from benchmarks.page_speed import LOSS, browser_processes, look_inside, open_page, processor_seconds
from mnist_core.data.prepare import load_for
from mnist_core.recipes import get_recipe
from mnist_core.runs.checkpointing import RunCheckpoints
from mnist_core.runs.looks import Looks
from mnist_core.runs.run import Run, create_run
from mnist_core.system.settings import data_folder
from mnist_core.training.loop import train
from mnist_core.training.state import TrainState
from tests.e2e.lab import Lab, measured_lab
from tests.helpers.events import append, epoch, start, step

EPOCH = 430  # batches
SETTLING_SECONDS = 20.0


class Looking:
    """Writes looks of a network of `quick` where a page asks for them, and counts the processor time of that."""

    def __init__(self, run: Run) -> None:
        data = load_for(run.config(), data_folder(), further=True)
        self._state, self.seconds = TrainState(run.config(), data), 0.0
        steps = train(self._state, data)
        for _ in range(2):  # the beginning, and a batch, of which gradients are left
            next(steps)
        self._looks = Looks(run, data, self._state, RunCheckpoints(run, data, self._state).described)

    def take(self, step: int) -> None:
        self._state.epoch, self._state.batch = divmod(step, self._state.steps_per_epoch)
        begun = time.thread_time()
        self._looks.take(self._state)
        self.seconds += time.thread_time() - begun


@contextlib.contextmanager
def written(running: Lab, rate: float, inside: bool) -> Iterator[Looking | None]:
    """A run that seems to take `rate` batches a second, in the hands of what writes looks at it."""
    run = create_run(get_recipe("quick").config("mnist").replace(epochs=200), running.runs_dir)
    stop, looking = threading.Event(), Looking(run) if inside else None

    def write() -> None:
        begun, number = time.monotonic(), 0
        while not stop.wait(0.05):
            due = range(number + 1, int((time.monotonic() - begun) * rate) + 1)
            if looking is not None:
                looking.take(number + 1)
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
            yield looking
        finally:
            stop.set()
            thread.join()
            run.finish("stopped")


def watched(
    browser: Browser, running: Lab, seconds: float, rate: float, inside: bool
) -> tuple[float, float, float, float]:
    """Shares of a core that browser, server and looks take, and drawings a second."""
    with written(running, rate, inside) as looking:
        page = open_page(browser, running, "train", rest=0.0 if inside else SETTLING_SECONDS)
        if inside:
            look_inside(page, rest=SETTLING_SECONDS)

        def now() -> tuple[float, float, float, float]:
            draws = page.evaluate(f"Number({LOSS}.dataset.draws)")
            times = processor_seconds(browser_processes()), processor_seconds([running.pid])
            return *times, looking.seconds if looking else 0.0, draws

        before, begun = now(), time.monotonic()
        time.sleep(seconds)
        after, lasted = now(), time.monotonic() - begun
        page.close()
    browsing, serving, looks, drawn = ((end - start) / lasted for end, start in zip(after, before, strict=True))
    return browsing, serving, looks, drawn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=float, default=200, help="batches a second")
    parser.add_argument("--inside", action="store_true", help="with all that Look inside shows, and a drawing")
    options = parser.parse_args()
    with measured_lab() as (running, browser):
        for _ in range(options.rounds):
            browsing, serving, looks, drawn = watched(browser, running, options.seconds, options.rate, options.inside)
            print(
                f"browser {browsing:.3f}, server {serving:.3f}, looks in the training's process {looks:.3f} of a core; "
                f"{drawn:.2f} drawings a second"
            )


if __name__ == "__main__":
    main()
