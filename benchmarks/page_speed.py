"""Claims: click to first point ≤ 1.5 s (median); stroke's end to the answer ≤ 120 ms (95th percentile);
curves drawn once a second; training with the page open at ≥ 93 % of the headless rate. On 2 cores, Chromium included.

    python -m benchmarks.page_speed [--clicks 10] [--strokes 60] [--pairs 5] [--turns 5] [--stops 40] [--inside]

Starts a lab of its own with real MNIST (MNIST_LAB_DATA) and drives a real Chromium. Times are taken inside the
browser, from the event to the first animation frame in which the chart has changed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from playwright.sync_api import Browser, Page

from benchmarks.long_run import batches_per_second, start_training
from mnist_core.runs.run import list_runs
from server.curves import LINGER_SECONDS
from tests.e2e.lab import ROOT, SEVEN, Lab, draw, measured_lab, settled

PAIRS_A_RUN = 8  # a run of 200 epochs takes 140 s on a fast machine
# `measured` resolves to the milliseconds from the next EVENT to the first frame in which READY holds
WATCH = """() => {
    window.measured = new Promise(resolve => {
        window.addEventListener("EVENT", () => {
            const start = performance.now();
            const look = () => (READY) ? resolve(performance.now() - start) : requestAnimationFrame(look);
            requestAnimationFrame(look);
        }, {capture: true, once: true});
    });
}"""
LOSS = "document.querySelector(\"[data-testid='live-chart'][data-key='loss']\")"
ANSWER = "document.querySelector(\"[data-testid='answer']\")"


def watch(page: Page, event: str, ready: str) -> None:
    """`window.measured` becomes the milliseconds from the next `event` to the first frame in which `ready` holds."""
    page.evaluate(WATCH.replace("EVENT", event).replace("READY", f"({ready})"))


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, round(share * (len(values) - 1)))]


def wait_for_end(running: Lab) -> None:
    while any(run.status().active for run in list_runs(running.runs_dir)):
        time.sleep(0.1)


def open_page(browser: Browser, running: Lab, name: str, rest: float = 1.5) -> Page:
    """The page `name` on a wide screen, left alone for `rest` seconds when it has settled."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(f"{running.url}/{name}")
    settled(page)
    page.wait_for_timeout(1000 * rest)
    return page


def look_inside(page: Page, rest: float) -> None:
    """Switches on all that the Train page shows of a network while it trains, and draws at it."""
    page.get_by_text("Look inside while it trains").click()
    page.locator(".frames-digit").first.wait_for()
    draw(page, SEVEN)
    page.wait_for_timeout(1000 * rest)


def clicks(browser: Browser, running: Lab, count: int) -> list[float]:
    """Milliseconds from the click on Run to the first point of the new curve, one per click."""
    taken = []
    for _ in range(count):
        page = open_page(browser, running, "train")
        # the shown run's own curve is called `train`; it begins anew with the new run
        page.evaluate(f"window.before = ({LOSS}?._fullData || []).find(t => t.name === 'train')?.x?.length || 0")
        ready = (
            f"(n => n > 0 && n !== window.before)(({LOSS}?._fullData || []).find(t => t.name === 'train')?.x?.length)"
        )
        watch(page, "click", ready)
        page.get_by_role("button", name="Run", exact=True).click()
        taken.append(page.evaluate("window.measured"))
        wait_for_end(running)
        page.close()
    return taken


def strokes(
    page: Page, numbers: Iterable[int], chance: random.Random, pause: tuple[float, float] = (0.3, 0.3)
) -> list[float]:
    """Milliseconds from the end of a stroke to the answer to it, one per stroke; cleared before every fifth.

    `numbers` counts the page's strokes from 0; `pause`: the shortest and longest time after a stroke, in seconds.
    """
    taken = []
    for number in numbers:
        if number and number % 4 == 0:
            page.get_by_role("button", name="Clear").last.click()
            page.wait_for_timeout(1000)
        page.evaluate(f"window.before = {ANSWER}.dataset.strokes")
        watch(page, "mouseup", f"{ANSWER}.dataset.strokes !== window.before")
        draw(page, [[(chance.randint(40, 240), chance.randint(40, 240)) for _ in range(3)]])
        taken.append(page.evaluate("Promise.race([window.measured, new Promise(r => setTimeout(r, 5000))])") or 5000.0)
        page.wait_for_timeout(1000 * chance.uniform(*pause))
    return taken


def draws_per_second(page: Page, seconds: float = 3.0) -> float:
    before = int(page.evaluate(f"Number({LOSS}.dataset.draws)"))
    page.wait_for_timeout(seconds * 1000)
    return (int(page.evaluate(f"Number({LOSS}.dataset.draws)")) - before) / seconds


def rates(browser: Browser, running: Lab, pairs: int) -> tuple[list[float], list[float], list[float]]:
    """Training seconds of `quick` headless and with the page open, in turn, and the chart's draws per second."""
    headless, watched, frames = [], [], []
    for _ in range(pairs):
        command = [sys.executable, "-m", "mnist_core", "train", "--recipe", "quick", "--dataset", "mnist", "--json"]
        command += ["--runs-dir", str(running.runs_dir)]
        finished = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
        headless.append(json.loads(finished.stdout.splitlines()[-1])["train_seconds"])
        page = open_page(browser, running, "train")
        page.get_by_role("button", name="Run", exact=True).click()
        page.wait_for_timeout(1500)
        frames.append(draws_per_second(page, 2.0))
        wait_for_end(running)
        last = (list_runs(running.runs_dir)[0].folder / "metrics.jsonl").read_text().splitlines()[-1]
        watched.append(json.loads(last)["train_seconds"])
        page.close()
    return headless, watched, frames


def watched_now_and_then(
    browser: Browser, running: Lab, turns: int, seconds: float, inside: bool = False
) -> list[tuple[float, float, float]]:
    """Batches a second of long runs before their page is opened, with it open and after it was closed, `turns` times.

    Without the moments in which a page opens or closes, and without those after, in which the server still feeds it.
    Each turn has a run of its own, which lasts longer than a turn. `inside`: with all that Look inside shows.
    """
    open_page(browser, running, "train").close()  # the first visitor starts the worker
    rates = []
    for _ in range(turns):
        run = start_training(running)
        time.sleep(LINGER_SECONDS + 2)
        before = batches_per_second(run, seconds)
        page = open_page(browser, running, "train", rest=0.0 if inside else 10.0)
        if inside:
            look_inside(page, rest=10.0)
        watched = batches_per_second(run, seconds)
        page.close()
        time.sleep(LINGER_SECONDS + 2)
        after = batches_per_second(run, seconds)
        if not run.status().active:
            raise RuntimeError("The training ended while it was measured: this machine needs a longer one.")
        rates.append((before, watched, after))
        run.command("stop")
        wait_for_end(running)
    return rates


def browser_processes() -> list[int]:
    """The Chromium that this process has started, with all that belongs to it."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # ended meanwhile
            name, rest = status.read_text().split("(", 1)[1].rsplit(")", 1)
            parents[int(status.parent.name)] = (int(rest.split()[1]), name)

    def ours(process: int) -> bool:
        return process == os.getpid() or (process in parents and ours(parents[process][0]))

    return [process for process, (_, name) in parents.items() if name.startswith("chrom") and ours(process)]


def signalled(processes: list[int], number: int) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)


def processor_seconds(processes: list[int]) -> float:
    """What they have used of all cores so far."""
    ticks = 0
    for process in processes:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def watched_and_stopped(browser: Browser, running: Lab, pairs: int, seconds: float) -> tuple[list[float], float, float]:
    """The rate of long runs with their page open, by their rate with the whole browser stopped (SIGSTOP), `pairs`
    times; and the share of a core that the browser, at work, and the server take.

    The two are seconds apart, so that the machine's own pace, which drifts, hardly enters. The server feeds the page
    in both; `watched_now_and_then` sees what that takes.
    """
    open_page(browser, running, "train").close()
    ratios: list[float] = []
    browsing = serving = watched = 0.0
    while len(ratios) < pairs:
        run = start_training(running)
        page = open_page(browser, running, "train", rest=45.0)  # when what opening it left behind is tidied up
        begun, before = time.monotonic(), processor_seconds([running.pid])
        for pair in range(min(PAIRS_A_RUN, pairs - len(ratios))):
            rates = {}
            for number in [signal.SIGSTOP, signal.SIGCONT][:: 1 if pair % 2 else -1]:
                signalled(browser_processes(), number)
                time.sleep(1.0)
                used = processor_seconds(browser_processes())
                rates[number] = batches_per_second(run, seconds)
                browsing += processor_seconds(browser_processes()) - used
            signalled(browser_processes(), signal.SIGCONT)
            ratios.append(rates[signal.SIGCONT] / rates[signal.SIGSTOP])
        if not run.status().active:
            raise RuntimeError("The training ended while it was measured: this machine needs a longer one.")
        serving += processor_seconds([running.pid]) - before
        watched += time.monotonic() - begun
        page.close()
        run.command("stop")
        wait_for_end(running)
    serving /= watched
    return ratios, browsing / (pairs * seconds), serving


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clicks", type=int, default=10)
    parser.add_argument("--strokes", type=int, default=60)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--turns", type=int, default=5, help="of 15 s with the page open between 15 s without")
    parser.add_argument("--stops", type=int, default=40, help="of the browser, for 3 s each, beside a training")
    parser.add_argument("--inside", action="store_true", help="the turns with all that Look inside shows")
    options = parser.parse_args()
    with measured_lab() as (running, browser):
        if options.strokes:
            page = open_page(browser, running, "draw")
            taken = strokes(page, range(options.strokes), random.Random(0))
            page.close()
            print(
                f"stroke to prediction, {len(taken)} strokes: median {statistics.median(taken):.0f} ms, "
                f"95th percentile {percentile(taken, 0.95):.0f} ms, longest {max(taken):.0f} ms"
            )
        if options.clicks:
            taken = clicks(browser, running, options.clicks)
            print(
                f"click to first point, {len(taken)} clicks: median {statistics.median(taken):.0f} ms, "
                f"longest {max(taken):.0f} ms"
            )
        if options.pairs:
            headless, watched, frames = rates(browser, running, options.pairs)
            ratios = [h / w for h, w in zip(headless, watched, strict=True)]
            print(
                f"training with the page open, {len(ratios)} pairs: {statistics.median(ratios):.1%} of the headless "
                f"rate (median of {', '.join(f'{ratio:.1%}' for ratio in ratios)}); "
                f"headless {statistics.median(headless):.2f} s; "
                f"the chart drew {statistics.median(frames):.1f} times a second"
            )
        if options.turns:
            rates_of_turns = watched_now_and_then(browser, running, options.turns, 15.0, options.inside)
            ratios = [2 * watched / (before + after) for before, watched, after in rates_of_turns]
            listed = ", ".join(f"{ratio:.1%}" for ratio in ratios)
            deviation = statistics.stdev(ratios) if len(ratios) > 1 else 0.0
            print(
                f"long trainings, page open and closed in turn, {len(ratios)} turns: "
                f"{statistics.mean(ratios):.1%} ± {deviation:.1%} of the rates around it (mean ± deviation of "
                f"{listed}), which were "
                f"{', '.join(f'{before:.0f} and {after:.0f}' for before, _, after in rates_of_turns)} batches a second"
            )
        if options.stops:
            ratios, browsing, serving = watched_and_stopped(browser, running, options.stops, 3.0)
            error = statistics.stdev(ratios) / len(ratios) ** 0.5 if len(ratios) > 1 else 0.0
            print(
                f"one long training, browser at work and stopped in turn, {len(ratios)} pairs: "
                f"{statistics.mean(ratios):.1%} ± {error:.1%} (mean ± its standard error), median "
                f"{statistics.median(ratios):.1%}; the browser at work takes {browsing:.3f} of a core, "
                f"the server {serving:.3f}"
            )
    print(f"({os.cpu_count()} cores, Chromium on the same machine)")


if __name__ == "__main__":
    main()
