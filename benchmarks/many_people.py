"""Claims: with 30 people on one server who draw and browse while one training runs, on 2 cores, a prediction takes
≤ 1 s (95th percentile), the training keeps ≥ 70 % of its rate, memory grows by < 15 MB a session and comes back.

    python -m benchmarks.many_people [--sessions 30] [--browsers 2] [--seconds 90] [--idle]

Starts a lab of its own with real MNIST (MNIST_LAB_DATA). Some of the sessions are real browsers: one watches the
training, the others draw with the mouse. The rest are WebSocket clients (benchmarks/visitors.py) that draw and browse
through all pages, with 2 to 6 s between two acts; their predictions are timed from sending a stroke to the last part of
the answer, the browsers' from the end of a stroke to the answer to it. `benchmarks/in_stroke.py` has people who are
answered while they draw.

In a class the visitors' machines do the visitors' work; here all of it shares the server's cores. With `--idle` the
visitors, browsers included, compute only when the lab's own processes leave a core (Linux's SCHED_IDLE, and the least
weight for their sessions where the kernel shares the cores among sessions first: sched(7), autogroup); their times then
hold their own waiting for one. Linux only: it reads /proc.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import os
import random
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser

from benchmarks.long_run import batches_per_second, start_training
from benchmarks.page_speed import open_page, percentile, strokes
from benchmarks.visitors import Load, Visitor, cpu_seconds, crowd, look_around, resident_megabytes
from mnist_core.runs.run import Run
from mnist_core.system.settings import data_folder
from tests.e2e.lab import Lab, chromium, lab

PAUSE = (2.0, 6.0)
ALONE_SECONDS = 30
LEAVING_SECONDS = 15  # by then the server has closed their sessions
FORGETTING_SECONDS = 190  # the lab tidies up 150 s after the last visitor (ui/visitors.py)


def browse(browser: Browser, running: Lab, drawing: int, until: float) -> list[float]:
    """One browser watches the training, `drawing` others draw in turn → milliseconds of each prediction."""
    watching = open_page(browser, running, "train", rest=0.0)
    boards = [open_page(browser, running, "draw") for _ in range(drawing)]
    chance, taken = random.Random(0), []
    each = tuple(seconds / drawing for seconds in PAUSE) if drawing else PAUSE  # one after another, at a person's pace
    for number in itertools.count() if boards else ():
        for board in boards:
            taken += strokes(board, [number], chance, each)
        if time.monotonic() > until:
            break
    watching.wait_for_timeout(max(0.0, until - time.monotonic()) * 1000)
    for page in (watching, *boards):
        page.close()
    return taken


@dataclass
class Measured:
    """What came of it: batches a second, megabytes of the server, milliseconds."""

    alone: list[float]
    rate: float
    before: float
    together: float
    after: float
    in_browsers: list[float]
    server_cores: float
    clients_cores: float


def let_them_come(browser: Browser, running: Lab, run: Run, options: argparse.Namespace, load: Load) -> Measured:
    """Measures the training alone, with all, and alone again. Raises what a visitor meets."""
    alone = [batches_per_second(run, ALONE_SECONDS)]
    before = resident_megabytes(running.pid)
    begun, taken = time.monotonic(), (cpu_seconds(running.pid), time.process_time())
    until = begun + options.seconds
    count = options.sessions - options.browsers
    visitors = [Visitor(running.url, load, random.Random(number)) for number in range(count)]

    async def stay() -> float:
        try:
            await crowd(visitors, until, PAUSE)
            return resident_megabytes(running.pid)  # while all are still there
        finally:
            for visitor in visitors:
                await visitor.__aexit__()

    with ThreadPoolExecutor() as threads:
        together = threads.submit(lambda: asyncio.run(stay()))
        rate = threads.submit(batches_per_second, run, options.seconds - 10)
        in_browsers = browse(browser, running, options.browsers - 1, until) if options.browsers else []
        together, rate = together.result(), rate.result()
    spent = time.monotonic() - begun
    cores = (cpu_seconds(running.pid) - taken[0]) / spent, (time.process_time() - taken[1]) / spent
    time.sleep(LEAVING_SECONDS)
    alone.append(batches_per_second(run, ALONE_SECONDS))
    run.command("stop")
    time.sleep(FORGETTING_SECONDS - LEAVING_SECONDS - ALONE_SECONDS)
    after = resident_megabytes(running.pid)
    return Measured(alone, rate, before, together, after, in_browsers, *cores)


def let_go_before(pid: int) -> None:
    """Gives the sessions of a process and of all below it the least weight, but for those of the lab's server.

    A policy such as SCHED_IDLE counts within a session alone where the kernel groups processes by session.
    """
    folder = Path(f"/proc/{pid}")
    with contextlib.suppress(OSError):  # gone meanwhile, or a kernel without autogroup
        if b"streamlit" in (folder / "cmdline").read_bytes():
            return
        (folder / "autogroup").write_text("19")
    with contextlib.suppress(OSError):
        for thread in (folder / "task").iterdir():
            for child in (thread / "children").read_text().split():
                let_go_before(int(child))


def row(what: str, milliseconds: list[float], aim: str = "") -> str:
    return (
        f"{what}: {len(milliseconds)}, median {statistics.median(milliseconds):.0f} ms, "
        f"95th percentile {percentile(milliseconds, 0.95):.0f} ms, longest {max(milliseconds):.0f} ms{aim}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=30)
    parser.add_argument("--browsers", type=int, default=2, help="how many of the sessions are real browsers")
    parser.add_argument("--seconds", type=float, default=90)
    parser.add_argument("--idle", action="store_true", help="the visitors take only what the lab leaves of the cores")
    options = parser.parse_args()
    load = Load()
    with tempfile.TemporaryDirectory() as folder, lab(Path(folder), data_folder().resolve()) as running:
        asyncio.run(look_around(running.url))
        run = start_training(running)
        if options.idle:  # the lab's processes are there already, and the browsers come from this one
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        with chromium() as browser:
            if options.idle:
                let_go_before(os.getpid())
            found = let_them_come(browser, running, run, options, load)
    aim = " (aim: 1000 ms at the 95th percentile)"
    print(
        f"{options.sessions} sessions, {options.browsers} of them browsers, {options.seconds:.0f} s"
        + (", with what the lab leaves of the cores" if options.idle else "")
    )
    print(row("predictions over WebSockets", [1000 * seconds for seconds in load.predictions], aim))
    if found.in_browsers:
        print(row("predictions in browsers", found.in_browsers, aim))
    print(row("pages over WebSockets", [1000 * seconds for seconds in load.views]))
    share, (first, last) = found.rate / statistics.mean(found.alone), found.alone
    print(
        f"training: {found.rate:.1f} batches a second, {share:.0%} of its rate alone (aim: 70 %), which was "
        f"{first:.1f} before and {last:.1f} after"
    )
    print(
        f"memory of the server: {found.before:.0f} MB before, {found.together:.0f} MB with all, {found.after:.0f} MB "
        f"after they left: {(found.together - found.before) / options.sessions:.1f} MB a session (aim: 15 MB)"
    )
    print(
        f"of the cores the server took {found.server_cores:.2f}; the WebSocket clients {found.clients_cores:.2f}, and "
        "the browsers more, which people's own machines would"
    )
    for wrong in load.wrong:
        print(f"shown on a page: {wrong}")
    print(f"({os.cpu_count()} cores, all on the same machine)")


if __name__ == "__main__":
    main()
