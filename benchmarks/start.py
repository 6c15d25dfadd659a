"""Claim: on a fresh server the first visitor can use Home, Draw and Train within 1.5 times the time of a bare page.

    python -m benchmarks.start [--starts 5] [--clicks 3]

Each start is a new server process, the pages in turn: a one-line Streamlit script, one with the canvas alone, Home,
Draw and Train. The time runs from the start of the process until the page can be used: all of it is there (bare, Home),
the canvas can be drawn on (canvas, Draw), *Run* can be clicked (Train). `--clicks` fresh servers more: from a click on
*Run*, ten seconds after the page came, to the first point of the curve. Real MNIST (MNIST_LAB_DATA), Debian's Chromium,
started beforehand.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, Page

from benchmarks.page_speed import LOSS, watch
from mnist_core.runs.run import list_runs
from mnist_core.system.settings import data_folder
from tests.e2e.lab import ROOT, chromium

BARE = {  # scripts that pages of the lab are compared with
    "bare": 'import streamlit as st\n\nst.markdown("Hello")\n',
    "canvas": 'from streamlit_drawable_canvas import st_canvas\n\nst_canvas(width=480, height=480, key="canvas")\n',
}
PAGES = {  # name → (path, what is there when the page can be used)
    "bare": ("", "text=Hello"),
    "canvas": ("", "canvas.upper-canvas"),
    "Home": ("", "text=, which comes with the lab >> nth=4"),
    "Draw": ("draw", "canvas.upper-canvas"),
    "Train": ("train", "button:has-text('Run'):not([disabled]) >> nth=0"),
}


@contextlib.contextmanager
def fresh_server(script: Path, folder: Path) -> Iterator[tuple[float, str]]:
    """A new server process → (when it was started, its URL)."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "MNIST_LAB_DATA": str(data_folder().resolve()),
        "MNIST_LAB_RUNS": str(folder / "runs"),
    }
    with (folder / "server.log").open("ab") as log:
        started = time.monotonic()
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "streamlit", "run", str(script), "--server.port", str(port)),
                *("--server.headless", "true", "--server.address", "127.0.0.1"),
            ],
            cwd=script.parent,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield started, f"http://127.0.0.1:{port}"
    finally:
        for run in list_runs(folder / "runs"):
            if run.status().active:
                run.command("stop")
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)
        while worker_of(folder):  # which would take time from the next start
            time.sleep(0.1)


def worker_of(folder: Path) -> bool:
    """Whether a worker process with runs in `folder` is still there; Linux only."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if str(folder / "runs").encode() in path.read_bytes():
                return True
    return False


def open_page(page: Page, url: str, ready: str) -> None:
    """Opens the page as soon as the server listens, and waits until it can be used."""
    port = int(url.split(":")[2].split("/")[0])
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            break
        time.sleep(0.02)
    page.goto(url, wait_until="commit")
    page.wait_for_selector(ready, timeout=90_000)


def first_use(browser: Browser, name: str, folder: Path) -> float:
    """Seconds from the start of a fresh server until its first visitor can use the page."""
    if name in BARE:
        script = folder / f"{name}.py"
        script.write_text(BARE[name])
    else:
        script = ROOT / "app.py"
    path, ready = PAGES[name]
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    try:
        with fresh_server(script, folder) as (started, url):
            open_page(context.new_page(), f"{url}/{path}", ready)
            return time.monotonic() - started
    finally:
        context.close()


def first_click(browser: Browser, folder: Path) -> float:
    """Seconds from the first click on Run, ten seconds after the page came, to the first point."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    path, ready = PAGES["Train"]
    try:
        with fresh_server(ROOT / "app.py", folder) as (_, url):
            page = context.new_page()
            open_page(page, f"{url}/{path}", ready)
            page.wait_for_timeout(10_000)
            drawn = f"({LOSS}?._fullData || []).some(t => t.name === 'train' && t.x?.length)"
            watch(page, "click", drawn)
            page.get_by_role("button", name="Run", exact=True).click()
            taken = float(page.evaluate("window.measured")) / 1000
            return taken
    finally:
        context.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--clicks", type=int, default=3)
    options = parser.parse_args()
    taken: dict[str, list[float]] = {name: [] for name in PAGES}
    with tempfile.TemporaryDirectory() as temporary, chromium() as browser:
        first_use(browser, "bare", Path(temporary))  # not counted: files come from the disk, the browser warms up
        for number in range(options.starts):
            for name in PAGES:
                folder = Path(temporary) / f"{name}-{number}"
                folder.mkdir()
                taken[name].append(first_use(browser, name, folder))
        bare = statistics.median(taken["bare"]) if options.starts else 1.0
        for name, seconds in taken.items():
            if seconds:
                each = ", ".join(f"{second:.2f}" for second in seconds)
                middle = statistics.median(seconds)
                print(f"{name}: median {middle:.2f} s, {middle / bare:.2f} × bare ({each})")
        clicks = []
        for number in range(options.clicks):
            folder = Path(temporary) / f"click-{number}"
            folder.mkdir()
            clicks.append(first_click(browser, folder))
        if clicks:
            print(f"first click on Run to first point: {', '.join(f'{seconds:.2f}' for seconds in clicks)} s")


if __name__ == "__main__":
    main()
