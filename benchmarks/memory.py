"""Claim: the memory of a server on which nobody trains, after five people have used it; its idle worker goes.

    python -m benchmarks.memory [--minutes 10] [--people 5]

Visitors that speak Streamlit's protocol (benchmarks/visitors.py) draw and look at every page for so long. Prints the
server's memory (RSS) at the start, each minute and at the end, and that of the warm worker. With `--idle` it waits
until the worker has gone, ten minutes after the last one wanted it. Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from pathlib import Path

from benchmarks.visitors import PAGES, Load, Visitor, crowd, look_around, resident_megabytes
from mnist_core.runs.pool import IDLE_SECONDS
from mnist_core.runs.worker import WORKERS_FOLDER
from mnist_core.system.settings import data_folder
from tests.e2e.lab import Lab, server

PAUSE = (1.0, 4.0)  # seconds between two acts of a person


def workers(running: Lab) -> list[int]:
    """The process ids of the warm workers."""
    return [int(note.name) for note in (running.runs_dir / WORKERS_FOLDER).glob("*") if note.name.isdigit()]


async def use(running: Lab, people: int, minutes: float) -> Load:
    """So many people use the lab for so long; the memory is printed each minute."""
    load = Load()
    begun = time.monotonic()
    visitors = [Visitor(running.url, load, random.Random(number)) for number in range(people)]

    async def watch() -> None:
        while True:
            await asyncio.sleep(60.0)
            print(
                f"after {(time.monotonic() - begun) / 60:.0f} min: {resident_megabytes(running.pid):.0f} MB", flush=True
            )

    watching = asyncio.create_task(watch())
    try:
        await crowd(visitors, begun + 60 * minutes, PAUSE)
    finally:
        watching.cancel()
        for visitor in visitors:
            await visitor.__aexit__()
    return load


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--people", type=int, default=5)
    parser.add_argument("--idle", action="store_true", help="wait until the idle worker has gone")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, server(Path(folder), data_folder().resolve()) as running:
        print(f"listening: {resident_megabytes(running.pid):.0f} MB")
        asyncio.run(look_around(running.url))
        print(f"after one look at {len(PAGES)} pages: {resident_megabytes(running.pid):.0f} MB")
        load = asyncio.run(use(running, options.people, options.minutes))
        done = f"{len(load.views)} pages and {len(load.predictions)} strokes"
        held = ", ".join(f"{resident_megabytes(pid):.0f} MB" for pid in workers(running)) or "none"
        print(f"{options.people} people, {options.minutes:g} minutes, {done}: {resident_megabytes(running.pid):.0f} MB")
        print(f"warm worker: {held}")
        for each in load.wrong:
            print(each)
        if options.idle:
            begun = time.monotonic()
            while workers(running) and time.monotonic() - begun < IDLE_SECONDS + 60:
                time.sleep(1.0)
            print(f"the idle worker went after {time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
