"""Claim: with a core for each of its threads a training keeps much more of its speed beside other work.

    python -m benchmarks.beside_work [--rounds 3] [--seconds 8]

Trains `quick` on MNIST (MNIST_LAB_DATA) alone, beside a process that computes without end, and beside a second
training: with its threads apart, as the lab does (`mnist_core.cores`), and left to the scheduler
(OMP_PROC_BIND=false). In turn, so that the machine's own pace enters alike.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from itertools import product

from tests.e2e.lab import ROOT

TRAINING = """
import sys, time
from mnist_core.system.threads import keep_threads_apart
keep_threads_apart()
from mnist_core.data.loading import load_dataset
from mnist_core.recipes import get_recipe
from mnist_core.training.state import TrainState; from mnist_core.training.loop import train
data, config = load_dataset("mnist"), get_recipe("quick").config("mnist").replace(epochs=100)
state, begun = TrainState(config, data), None
for event in train(state, data):
    if begun is None and state.step == 30:
        begun = time.monotonic()
    if begun is not None and time.monotonic() - begun > float(sys.argv[1]):
        break
print((state.step - 30) / (time.monotonic() - begun))
"""
PLACES = {"threads apart": {}, "left to the scheduler": {"OMP_PROC_BIND": "false"}}
COMPANY = ("alone", "beside a busy process", "beside a second training")


def start(program: str, environment: dict[str, str], *arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True)


def batches_per_second(place: str, company: str, seconds: float) -> float:
    """Of one training, or the mean of two."""
    busy = start("while True: pass", {}) if company == "beside a busy process" else None
    count = 2 if company == "beside a second training" else 1
    try:
        trainings = [start(TRAINING, PLACES[place], str(seconds)) for _ in range(count)]
        return statistics.mean(float(training.communicate()[0]) for training in trainings)
    finally:
        if busy is not None:
            busy.kill()
            busy.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0)
    options = parser.parse_args()
    rates: dict[tuple[str, str], list[float]] = {}
    for _ in range(options.rounds):
        for company, place in product(COMPANY, PLACES):
            rates.setdefault((company, place), []).append(batches_per_second(place, company, options.seconds))
    for company, place in product(COMPANY, PLACES):
        found = rates[company, place]
        print(
            f"{company}, {place}: {statistics.mean(found):.0f} batches a second ({min(found):.0f} to {max(found):.0f})"
        )
    print(f"({os.cpu_count()} cores)")


if __name__ == "__main__":
    main()
