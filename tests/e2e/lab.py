"""A lab of one's own for browser tests, benchmarks and screenshots: a server on a free port, and a Chromium."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from mnist_core.runs.run import list_runs
from mnist_core.system.settings import data_folder
from tests.helpers import free_port

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = os.environ.get("MNIST_LAB_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass(frozen=True)
class Lab:
    url: str
    runs_dir: Path
    pid: int  # of the server


@contextlib.contextmanager
def lab(folder: Path, data_dir: Path | str, *options: str, path: str = "") -> Iterator[Lab]:
    """A running server with runs under `folder`; ended, with its workers, on exit. Raises RuntimeError.

    `options` are those of `streamlit run`; `path` is the base path that they set, as in "/lab".
    """
    with server(folder, data_dir, options=options, path=path) as running:
        try:
            yield running
        finally:
            # a training outlives its server by design; the server's end closes the idle workers' input: those end
            stop_all(running)


def stop_all(running: Lab, patience: float = 30.0) -> None:
    """Stops every run and waits, `patience` seconds at most, until none is active."""
    deadline = time.monotonic() + patience
    while active := [run for run in list_runs(running.runs_dir) if run.status().active]:
        if time.monotonic() > deadline:
            return
        for run in active:
            run.command("stop")
        time.sleep(0.2)


@contextlib.contextmanager
def server(
    folder: Path, data_dir: Path | str, app: Path = ROOT / "app.py", options: Sequence[str] = (), path: str = ""
) -> Iterator[Lab]:
    """The server of `app` alone, which may be killed meanwhile: its trainings go on after it. Raises RuntimeError."""
    port = free_port()
    runs = folder / "runs"
    environment = {**os.environ, "MNIST_LAB_DATA": str(data_dir), "MNIST_LAB_RUNS": str(runs)}
    log = (folder / "server.log").open("ab")
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "streamlit", "run", str(app)),
            *("--server.port", str(port), "--server.headless", "true", *options),
        ],
        cwd=ROOT,
        env=environment,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}{path}"
    try:
        _wait(process, url, folder)
        yield Lab(url, runs, process.pid)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=20)
        log.close()


def _wait(process: subprocess.Popen, url: str, folder: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/_stcore/health", timeout=2) as answer:
            if answer.status == 200:
                return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError("The server did not start:\n" + (folder / "server.log").read_text(errors="replace")[-2000:])


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, headless."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def measured_lab() -> Iterator[tuple[Lab, Browser]]:
    """A lab with the data of MNIST_LAB_DATA in a folder of its own, and a Chromium, for a benchmark."""
    with (
        tempfile.TemporaryDirectory() as folder,
        lab(Path(folder), data_folder().resolve()) as running,
        chromium() as browser,
    ):
        yield running, browser


def settled(page: Page) -> None:
    """Waits until Streamlit has run the page's script to its end."""
    page.wait_for_selector("[data-testid='stApp'][data-test-script-state='notRunning']", timeout=60_000)


def draw(page: Page, strokes: list[list[tuple[float, float]]]) -> None:
    """Draws with the mouse; points in 280ths of the canvas's width, however large the page shows it."""
    board = page.locator("canvas.upper-canvas")
    board.scroll_into_view_if_needed()
    for stroke in strokes:
        first, *rest = (on_canvas(page, point) for point in stroke)
        page.mouse.move(*first)
        page.mouse.down()
        for point in rest:
            page.mouse.move(*point, steps=8)
        page.mouse.up()


def on_canvas(page: Page, point: tuple[float, float]) -> tuple[float, float]:
    """A point in 280ths of the canvas's width → in pixels of the window."""
    box = page.locator("canvas.upper-canvas").bounding_box()
    assert box is not None
    return box["x"] + point[0] * box["width"] / 280, box["y"] + point[1] * box["height"] / 280


SEVEN = [[(80, 70), (200, 70), (130, 220)]]
