"""Claim: a run of several processes whose processes are killed at random ends as crashed within 30 s, goes on from its
last state with any number of processes, and no file is ever damaged; and two processes are as right as one.

    python -m benchmarks.processes [--kills 20] [--seeds 5] [--seed 0]

Kills: a training on the digits is begun by 1 to 3 processes without torchrun's agent, which would end the others when
one dies; a random process of them is killed (SIGKILL) at a random instant, and the run resumed with another number.
Seeds: the recipe `quick` (batch norm, augmentation, average, reduced precision where the processor has it) on the
digits, by one process and by two.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from mnist_core.models.checkpoint import is_whole
from mnist_core.runs.history import EventReader
from mnist_core.runs.run import Run, list_runs
from mnist_core.training.resume import can_resume, read_resume
from tests.helpers.processes import begun, ended

KILL = ["train", "--dataset", "digits", "--epochs", "60", "--set", "batch_size=16"]
SEED = ["train", "--dataset", "digits", "--recipe", "quick", "--epochs", "5", "--json"]


def check(run: Run) -> None:
    """Raises AssertionError or LabError where a file of `run` is damaged or an event is missing."""
    assert all(is_whole(folder) for folder in run.checkpoints())
    for name in ("resume.pt", "resume-previous.pt"):
        if (run.folder / name).exists():
            read_resume(run.folder / name)
    steps = [event["step"] for event in EventReader(run).read() if event["event"] == "step"]
    assert steps == [*range(1, len(steps) + 1)]


def left(processes: list[subprocess.Popen], at: float) -> float:
    """Seconds from `at` until all `processes` have ended."""
    for process in processes:
        process.communicate(timeout=120)
    return time.monotonic() - at


def killed(kills: int, draw: random.Random, folder: Path) -> tuple[list[float], str]:
    """Seconds from each kill to the end of the run's other processes, and how the run ended."""
    seconds: list[float] = []
    arguments = [*KILL, "--runs-dir", str(folder)]
    while len(seconds) < kills:
        size = draw.choice([2, 2, 3]) if len(seconds) % 4 < 3 else 1
        processes = begun(arguments, range(size), size)
        begin, delay, victim = time.monotonic(), draw.uniform(0, 12), draw.randrange(size)
        before = len(EventReader(runs[0]).read()) if (runs := list_runs(folder)) else 0
        while time.monotonic() < begin + 90:  # from its first event of this life on
            if (runs := list_runs(folder)) and len(EventReader(runs[0]).read()) > before:
                break
            time.sleep(0.1)
        time.sleep(delay)
        processes[victim].kill()
        seconds.append(left(processes, time.monotonic()))
        run = list_runs(folder)[0]
        status = run.status()
        check(run)
        step = max((event.get("step", 0) for event in EventReader(run).read()), default=0)
        print(
            f"kill {len(seconds)}: process {victim} of {size}, {delay:.1f} s after its first event; the others left "
            f"after {seconds[-1]:.1f} s; {status.state} at step {step}, to resume: {can_resume(run.folder)}",
            flush=True,
        )
        assert status.state in ("crashed", "completed")
        if status.state == "completed":
            arguments, folder = [*KILL, "--runs-dir", str(folder / "next")], folder / "next"
        else:
            arguments = ["train", "--resume", run.id, "--runs-dir", str(folder)]
    run = list_runs(folder)[0]
    if run.status().state != "completed":
        ended(begun(arguments, [0], 1), 900)
    check(run)
    return seconds, run.status().state


def accuracies(seeds: int, folder: Path) -> None:
    print(f"\n| processes | validation accuracy, {seeds} seeds | mean ± standard deviation | test |\n|---|---|---|---|")
    for size in (1, 2):
        found = []
        for seed in range(seeds):
            arguments = [*SEED, "--seed", str(seed), "--runs-dir", str(folder / str(size))]
            found.append(json.loads(ended(begun(arguments, range(size), size), 300)[0][1]))
        validation, test = ([100 * result[f"{part}_accuracy"] for result in found] for part in ("val", "test"))
        each = ", ".join(f"{value:.2f}" for value in validation)
        means = [f"{statistics.mean(values):.2f} % ± {statistics.stdev(values):.2f}" for values in (validation, test)]
        print(f"| {size} | {each} | {means[0]} | {means[1]} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.kills:
            seconds, state = killed(options.kills, random.Random(options.seed), Path(folder) / "killed")
            print(
                f"{len(seconds)} kills, the longest end {max(seconds):.1f} s, no file damaged; the last run: {state}."
            )
        if options.seeds > 1:
            accuracies(options.seeds, Path(folder) / "seeds")


if __name__ == "__main__":
    main()
