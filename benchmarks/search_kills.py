"""A search whose processes are killed at random moments loses no trial and counts none twice.

    python -m benchmarks.search_kills [--kills 20] [--trials 40] [--storage postgresql://…]

Two processes work on one search of `digits` in a folder of their own. One of them after another is killed (SIGKILL)
within five seconds of work, and begun again. Afterwards one process carries the search to its end, and what the storage
and the run folders hold is counted.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from mnist_core.errors import LabError
from mnist_core.experiments.search import Search, begin_search, join_search
from mnist_core.experiments.search_plan import checked_budget, make_plan
from mnist_core.experiments.search_space import parse_range
from mnist_core.recipes import get_recipe
from mnist_core.runs.history import EventReader
from mnist_core.runs.run import list_runs

RANGES = ("learning_rate=1e-4:1e-1:log", "dropout=0:0.5", "batch_size=32,64,128")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--storage")
    options = parser.parse_args()
    draw = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        runs_dir = Path(folder)
        base = get_recipe("quick").config("digits").replace(model="mlp", epochs=20, batch_size=32)
        plan = make_plan(base, [parse_range(text, base) for text in RANGES], f"kills-{time.time_ns()}")
        search = begin_search(plan, checked_budget(options.trials, None), runs_dir, options.storage)
        began = time.monotonic()
        killed = kill_at_random(search, options.kills, draw, options.storage)
        process = worker(search, options.storage)
        assert process.wait() == 0, "the last process has failed"
        report(join_search(plan.name, runs_dir, options.storage), killed, time.monotonic() - began)


def worker(search: Search, storage: str | None) -> subprocess.Popen:
    further = ["--storage", storage] if storage else []
    command = [sys.executable, "-m", "mnist_core", "search", "--join", search.plan.name]
    return subprocess.Popen(
        [*command, "--runs-dir", str(search.runs_dir), *further], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def kill_at_random(search: Search, kills: int, draw: random.Random, storage: str | None) -> list[str]:
    """What each killed process was doing, as far as its trials tell."""
    processes = [worker(search, storage) for _ in range(2)]
    found: list[str] = []
    while len(found) < kills:
        while len(search.workers()) < 2 and all(process.poll() is None for process in processes):
            time.sleep(0.1)  # it takes some seconds to begin
        time.sleep(draw.uniform(0.0, 5.0))
        place = draw.randrange(2)
        if processes[place].poll() is not None:
            break  # the search has ended before it was killed often enough
        processes[place].send_signal(signal.SIGKILL)
        processes[place].wait()
        found.append(", ".join(f"{one.number} {one.state}" for one in search.trials() if one.state == "interrupted"))
        print(f"kill {len(found)}: left behind: {found[-1] or 'nothing'}", file=sys.stderr, flush=True)
        processes[place] = worker(search, storage)
    for process in processes:
        process.kill()
        process.wait()
    return found


def report(search: Search, killed: list[str], seconds: float) -> None:
    tried = search.trials()
    states = Counter(one.state for one in tried)
    budget = search.budget.trials or 0
    counted = [one for one in tried if one.counted]
    runs = list_runs(search.runs_dir)
    twice = sum(count - 1 for count in Counter(run.trial for run in runs).values())
    twice += sum(count - 1 for count in Counter(str(one.settings) for one in counted).values())
    damaged = 0
    for run in runs:
        try:
            damaged += run.config() is None or bool(run.damage()) or not EventReader(run).read()
        except LabError:
            damaged += 1
    print(
        f"{len(killed)} kills, {sum(map(bool, killed))} of them within a trial; {seconds:.0f} s: "
        f"{states['completed']} finished, {states['pruned']} pruned, {budget - len(counted)} lost, {twice} double, "
        f"{states['failed']} failed, {len(tried) - len(counted) - states['failed']} left open, {damaged} damaged runs."
    )


if __name__ == "__main__":
    main()
