"""Claims: while the pen is down the answer changes ≥ 8 times a second; from the end of a stroke to the answer to it
≤ 120 ms (95th percentile). With 30 people who draw at once while one training runs, on 2 cores, an answer takes
≤ 400 ms (95th percentile) and the training keeps ≥ 70 % of its rate.

    python -m benchmarks.in_stroke [--strokes 100] [--people 30] [--seconds 60] [--pause 1 3]

Starts a lab of its own with real MNIST (MNIST_LAB_DATA). The strokes are drawn with the mouse in a real Chromium, each
held for about a second, and timed there. The people are HTTP clients on the same machine, each with a connection of
its own: a client draws a second, in which it sends pictures as `ui/live/answer.js` does (at most 15 a second, one under
way, never sooner than three times what the last one took, nor than the server asks for), then the whole canvas, then
rests for `--pause` seconds. Their answers are timed from sending to having read the reply. Linux only: it reads /proc.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import io
import os
import random
import statistics
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from PIL import Image
from playwright.sync_api import Page

from benchmarks.long_run import batches_per_second, start_training
from benchmarks.many_people import row
from benchmarks.page_speed import ANSWER, open_page, watch
from benchmarks.visitors import cpu_seconds, look_around
from mnist_core.drawing.strokes import render_strokes
from mnist_core.system.settings import data_folder
from tests.e2e.lab import Lab, chromium, lab, on_canvas

HELD_SECONDS = 1.0
LEAST_SECONDS, SHARE = 1 / 15, 3  # as in ui/live/answer.js
PICTURES = 16  # of a stroke that grows
ALONE_SECONDS = 20
ROUTE = "/api/predict?canvas=1&input=1&model=pen"


def held_strokes(page: Page, count: int) -> tuple[list[float], list[float]]:
    """Draws `count` strokes, cleared before every third → answers a second while each was held, and milliseconds from
    its end to the answer to it."""
    chance, rates, ends = random.Random(0), [], []
    draws = f"Number({ANSWER}.dataset.draws)"
    for number in range(count):
        if number and number % 2 == 0:
            page.get_by_role("button", name="Clear").last.click()
            page.wait_for_timeout(1000)
        corners = [(chance.randint(40, 240), chance.randint(40, 240)) for _ in range(4)]
        page.evaluate(f"window.before = {ANSWER}.dataset.strokes")
        watch(page, "mouseup", f"{ANSWER}.dataset.strokes !== window.before")
        page.mouse.move(*on_canvas(page, corners[0]))
        page.mouse.down()
        before, begun = page.evaluate(draws), time.monotonic()
        while (share := (time.monotonic() - begun) / HELD_SECONDS) < 1:
            leg, within = divmod(share * (len(corners) - 1), 1)
            (x, y), (to_x, to_y) = corners[int(leg)], corners[int(leg) + 1]
            page.mouse.move(*on_canvas(page, (x + within * (to_x - x), y + within * (to_y - y))))
            time.sleep(0.01)
        rates.append((page.evaluate(draws) - before) / (time.monotonic() - begun))
        page.mouse.up()
        ends.append(page.evaluate("Promise.race([window.measured, new Promise(r => setTimeout(r, 5000))])") or 5000.0)
        page.wait_for_timeout(500)
    return rates, ends


@dataclass
class Crowd:
    """What all clients together have met: milliseconds while the pen was down and after it, and refusals."""

    held: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)


def growing_stroke() -> tuple[list[bytes], bytes]:
    """A 3 that is being drawn, as PNG files of 280 px, and the whole of it at 560 px."""
    turn = np.linspace(-2.4, 1.6, 20)
    halves = [np.stack([140 + 50 * np.cos(turn), middle + 40 * np.sin(turn)], axis=1) for middle in (100, 180)]
    path = np.concatenate(halves)
    parts = [path[: max(2, round(len(path) * share / PICTURES))] for share in range(1, PICTURES + 1)]
    return [_png(part, 280) for part in parts], _png(path, 560)


def _png(path: np.ndarray, side: int) -> bytes:
    grey = render_strokes([path], (280, 280), canvas=side, brush=20 * side / 280, height=None)
    file = io.BytesIO()
    Image.fromarray(np.dstack([grey, grey, grey, np.full_like(grey, 255)])).save(file, format="PNG")
    return file.getvalue()


def draw_and_rest(address: str, until: float, pause: tuple[float, float], chance: random.Random, crowd: Crowd) -> None:
    """One client; see the module's text."""
    parts, whole = growing_stroke()
    connection = http.client.HTTPConnection(address, timeout=60)
    connection.connect()

    def ask(picture: bytes) -> tuple[float, float]:
        """Seconds until the reply was read, and those after which the server wants the next picture."""
        begun = time.monotonic()
        connection.request("POST", ROUTE, picture, {"Content-Type": "image/png"})
        reply = connection.getresponse()
        reply.read()
        if reply.status != 200:
            crowd.refused.append(reply.status)
        return time.monotonic() - begun, float(reply.getheader("X-Pause") or 0)

    time.sleep(chance.uniform(0, 1))
    while time.monotonic() < until:
        down = time.monotonic()
        while (share := (time.monotonic() - down) / HELD_SECONDS) < 1:
            begun = time.monotonic()
            taken, pause_after = ask(parts[int(share * len(parts))])
            crowd.held.append(1000 * taken)
            time.sleep(max(0.0, begun + max(LEAST_SECONDS, SHARE * taken, pause_after) - time.monotonic()))
        crowd.ends.append(1000 * ask(whole)[0])
        time.sleep(chance.uniform(*pause))
    connection.close()


def people(running: Lab, count: int, seconds: float, pause: tuple[float, float]) -> None:
    """Measures `count` clients beside a training, and the training alone before and after; prints what came of it."""
    asyncio.run(look_around(running.url))  # the first visitor of Train starts the worker
    run = start_training(running)
    alone = [batches_per_second(run, ALONE_SECONDS)]
    crowd, until = Crowd(), time.monotonic() + seconds
    address = urlsplit(running.url).netloc
    begun, used = time.monotonic(), (cpu_seconds(running.pid), time.process_time())
    clients = [
        threading.Thread(target=draw_and_rest, args=(address, until, pause, random.Random(number), crowd))
        for number in range(count)
    ]
    for client in clients:
        client.start()
    rate = batches_per_second(run, seconds - 2)
    for client in clients:
        client.join()
    spent = time.monotonic() - begun
    server, own = (cpu_seconds(running.pid) - used[0]) / spent, (time.process_time() - used[1]) / spent
    alone.append(batches_per_second(run, ALONE_SECONDS))
    if not run.status().active:
        raise RuntimeError("The training ended while it was measured: this machine needs a longer one.")
    run.command("stop")
    print(f"{count} people, each a second of drawing, then {pause[0]:g} to {pause[1]:g} s of rest, for {seconds:.0f} s")
    print(row("answers while the pen is down", crowd.held, " (aim: 400 ms at the 95th percentile)"))
    print(row("answers to whole strokes", crowd.ends, " (aim: 400 ms at the 95th percentile)"))
    print(f"answers a second while the pen is down: {len(crowd.held) / len(crowd.ends) / HELD_SECONDS:.1f}")
    print(f"refused: {len(crowd.refused)}")
    print(
        f"training: {rate:.1f} batches a second, {rate / statistics.mean(alone):.0%} of its rate alone (aim: 70 %), "
        f"which was {alone[0]:.1f} before and {alone[1]:.1f} after"
    )
    print(f"of the cores the server took {server:.2f} and the clients {own:.2f}, which people's own machines would")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strokes", type=int, default=100)
    parser.add_argument("--people", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--pause", type=float, nargs=2, default=(1.0, 3.0), metavar=("SHORTEST", "LONGEST"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, lab(Path(folder), data_folder().resolve()) as running:
        if options.strokes:
            with chromium() as browser:
                rates, ends = held_strokes(open_page(browser, running, "draw", rest=5.0), options.strokes)
            print(
                f"answers a second while the pen is down, {len(rates)} strokes: median {statistics.median(rates):.1f}, "
                f"lowest {min(rates):.1f} (aim: 8)"
            )
            print(row("end of a stroke to the answer to it", ends, " (aim: 120 ms at the 95th percentile)"))
        if options.people:
            people(running, options.people, options.seconds, tuple(options.pause))
    print(f"({os.cpu_count()} cores, all on the same machine)")


if __name__ == "__main__":
    main()
