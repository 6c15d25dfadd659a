"""Claim: under mixed load, with workers and the server killed at random, no file is ever corrupted and every run ends.

    python -m benchmarks.soak [--minutes 10] [--visitors 6] [--seed 0]

Starts a lab of its own with real MNIST (MNIST_LAB_DATA). Visitors (benchmarks/visitors.py) draw, browse and press
*Run*; every few seconds a worker is killed (SIGKILL), and now and then the server, which is then started again on the
same folder. Runs that crashed are resumed. At the end, when the runs have ended, every file of every run is checked.
Exit status 1 when a file is corrupted or a run is lost. Linux only: it reads /proc.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import websockets

from benchmarks.visitors import Load, Visitor, draw_and_browse, look_around, resident_megabytes
from mnist_core.errors import LabError
from mnist_core.models.checkpoint import WEIGHTS, load_checkpoint
from mnist_core.runs.queue import Queue
from mnist_core.runs.run import ACTIVE, ENDED, Run, list_runs
from mnist_core.runs.worker import WORKERS_FOLDER
from mnist_core.system.settings import data_folder
from mnist_core.training.resume import read_resume
from tests.e2e.lab import Lab, server

PAUSE = (0.5, 2.0)
WORKER_EVERY = (4.0, 12.0)  # seconds from one kill of a worker to the next
SERVER_EVERY = (45.0, 90.0)
MOST_ACTIVE = 3  # runs, more are not started
ENDING_SECONDS = 600.0


@dataclass
class Toll:
    """What was done to the lab, and what it did."""

    workers: int = 0
    servers: int = 0
    resumed: int = 0
    memory: list[str] = field(default_factory=list)  # of each of the server's lives


def worker_pids(runs_dir: Path) -> list[int]:
    """The lab's own living workers. A killed one leaves its note, and its number may be another process's by now."""
    found = []
    for note in (runs_dir / WORKERS_FOLDER).glob("*"):
        with contextlib.suppress(OSError, ValueError):
            if str(runs_dir.resolve()).encode() in Path(f"/proc/{int(note.name)}/cmdline").read_bytes():
                found.append(int(note.name))
    return found


def resume_crashed(runs_dir: Path) -> int:
    """Does what *Continue* does, for all crashed runs; how many."""
    crashed = [run for run in list_runs(runs_dir) if run.status().state == "crashed"]
    for run in crashed:
        run.command("run")
        run.set_status("queued")
        Queue(runs_dir).add(run)
    return len(crashed)


async def torment(runs_dir: Path, until: float, chance: random.Random, toll: Toll) -> None:
    """Kills workers, resumes what crashed."""
    while time.monotonic() < until:
        await asyncio.sleep(chance.uniform(*WORKER_EVERY))
        pids = worker_pids(runs_dir)
        if pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(pids), signal.SIGKILL)
                toll.workers += 1
        await asyncio.sleep(chance.uniform(0.2, 2.0))
        toll.resumed += resume_crashed(runs_dir)


async def come_again(running: Lab, until: float, chance: random.Random, load: Load) -> None:
    """One person: starts a training now and then, draws, browses; comes again when the connection breaks."""
    while time.monotonic() < until:
        try:
            async with Visitor(running.url, load, chance) as visitor:
                if sum(run.status().active for run in list_runs(running.runs_dir)) < MOST_ACTIVE:
                    await visitor.view("train")
                    if not await visitor.press("Run"):
                        await visitor.press("Queue")
                await draw_and_browse(visitor, min(until, time.monotonic() + chance.uniform(10, 30)), chance, PAUSE)
        except (OSError, RuntimeError, websockets.WebSocketException):
            load.lost += 1
            await asyncio.sleep(1)


async def one_life(running: Lab, until: float, people: int, chance: random.Random, load: Load, toll: Toll) -> None:
    """One server's life, until it is killed or the soak ends."""
    async with asyncio.TaskGroup() as tasks:
        for _ in range(people):
            tasks.create_task(come_again(running, until, random.Random(chance.random()), load))
        tasks.create_task(torment(running.runs_dir, until, chance, toll))


def wait_for_runs(runs_dir: Path, toll: Toll) -> None:
    """Until all have ended, resuming what crashed."""
    deadline = time.monotonic() + ENDING_SECONDS
    while time.monotonic() < deadline:
        toll.resumed += resume_crashed(runs_dir)
        if not any(run.status().state in ACTIVE for run in list_runs(runs_dir)):
            return
        time.sleep(0.5)


def corrupted(run: Run) -> list[str]:
    """What of the run's files cannot be read, with the reason. Weights without a card are no checkpoint yet."""
    wrong = []

    def check(path: Path, read: object) -> None:
        try:
            read()
        except (LabError, OSError, ValueError) as error:
            wrong.append(f"{path}: {error}")

    check(run.config_path, run.config)
    for name in ("status.json", "control.json", "meta.json"):
        path = run.folder / name
        if path.exists():
            check(path, lambda path=path: json.loads(path.read_text()))
    if run.status().state not in ENDED:
        wrong.append(f"{run.folder}: {run.status()}")
    for path in sorted(run.folder.glob("resume*.pt")):
        check(path, lambda path=path: read_resume(path))
    for card in sorted(run.folder.glob("checkpoints/*/card.json")):
        check(card, lambda card=card: load_checkpoint(card.parent))
    check(run.folder / "metrics.jsonl", lambda: measurements(run.folder / "metrics.jsonl"))
    return wrong


def measurements(path: Path) -> None:
    """Raises ValueError unless every line is an event, but for those that a kill has torn: a resume follows them."""
    lines = path.read_text().split("\n")
    for number, line in enumerate(lines):
        try:
            if line and "event" not in json.loads(line):
                raise ValueError("no event")
        except ValueError:
            after = [each for each in lines[number + 1 :] if each]
            if after and json.loads(after[0])["event"] != "resume":
                raise ValueError(f"line {number + 1} is damaged") from None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--visitors", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance, load, toll = random.Random(options.seed), Load(), Toll()
    begun = time.monotonic()
    until = begun + 60 * options.minutes
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        while True:
            with server(Path(folder), data_folder().resolve()) as running:
                life = min(until, time.monotonic() + chance.uniform(*SERVER_EVERY))
                asyncio.run(look_around(running.url))
                before = resident_megabytes(running.pid)
                asyncio.run(one_life(running, life, options.visitors, chance, load, toll))
                toll.memory.append(f"{before:.0f} to {resident_megabytes(running.pid):.0f}")
                if life >= until:
                    wait_for_runs(running.runs_dir, toll)
                    break
                os.kill(running.pid, signal.SIGKILL)
                toll.servers += 1
                time.sleep(0.5)
        runs = list_runs(running.runs_dir)
        states = [run.status().state for run in runs]
        wrong = [each for run in runs for each in corrupted(run)]
        halves = sum(not (path.parent / "card.json").exists() for run in runs for path in run.folder.rglob(WEIGHTS))
    print(f"{(time.monotonic() - begun) / 60:.1f} minutes, {options.visitors} visitors, seed {options.seed}:")
    print(f"predictions served: {len(load.predictions):,}; pages: {len(load.views):,}; connections lost: {load.lost}")
    print(f"runs: {len(runs)}, finished: {states.count('completed')}, " + ", ".join(sorted(set(states))))
    print(f"kills survived: {toll.workers} of workers, {toll.servers} of servers; runs resumed: {toll.resumed}")
    print(f"corrupted files: {len(wrong)} (aim: 0); checkpoints that a kill left half-written, not shown: {halves}")
    print("memory of the server, MB at start and end of each life: " + ", ".join(toll.memory))
    for each in [*wrong, *load.wrong]:
        print(each)
    return 1 if wrong or load.wrong or "crashed" in states or "failed" in states else 0


if __name__ == "__main__":
    sys.exit(main())
