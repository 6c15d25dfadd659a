"""python -m benchmarks.long_history [--steps N] → seconds and memory to open a run of 1.5 million steps.

Each look is a process of its own, as of a server that has just started: what Compare reads and draws, and what Train
does. The first look finds no columns beside the log; the next ones do. Then the downloads: Compare's curves as CSV,
everything as JSON (both with the file that they make in memory), and the table of events in a run's bundle. Memory is
the growth of the resident set to its peak, over that of the imports.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mnist_core.config import TrainConfig
from mnist_core.experiments.compare import curves_csv, record, to_json
from mnist_core.experiments.export import write_events
from mnist_core.figures.curves import Curve, curve_spec, overlay_figure
from mnist_core.runs.history import History, HistoryReader
from mnist_core.runs.run import Run, create_run

EPOCHS = 200


def make(folder: Path, steps: int) -> Run:
    """An ended run of so many steps, as a training writes it."""
    run, per_epoch = create_run(TrainConfig(dataset="mnist", epochs=EPOCHS), folder), steps // EPOCHS
    with run.metrics_path.open("w") as file:

        def write(kind: str, **fields: object) -> None:
            file.write(json.dumps({"event": kind, **fields}) + "\n")

        counts = {"steps_per_epoch": per_epoch, "total_steps": steps, "train_images": 54_000, "val_images": 6000}
        write("start", step=0, parameters=25_000, **counts)
        for step in range(1, steps + 1):
            measured = {"loss": 2.3 / (1 + step / 1000) + 0.1234567, "accuracy": 0.98765432, "lr": 0.00123456789}
            write("step", step=step, epoch=(step - 1) // per_epoch, **measured, images_per_second=12345.678901)
            if step % per_epoch == 0:
                train = {"train_loss": 0.1, "train_accuracy": 0.9}
                write("epoch", epoch=step // per_epoch, step=step, **train, val_loss=0.1, val_accuracy=0.9, seconds=9.0)
        write("end", reason="completed", step=steps, train_seconds=9.0 * EPOCHS)
    run.finish("completed")
    return run


def curves(history: History, what: str) -> list[Curve]:
    return [
        Curve(kind, 0, series.epoch, getattr(series, what), kind)
        for kind, series in (("train", history.train), ("validation", history.validation))
    ]


def look(page: str, folder: Path) -> None:
    """Opens the run as `page` does, and prints seconds and megabytes."""
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak from here on
    begun = time.perf_counter()
    reader = HistoryReader(Run(folder))
    if page == "compare":
        found = record(Run(folder), reader)
        for what in ("loss", "accuracy"):
            overlay_figure(curves(found.history, what), what, "epoch", log=True)
    elif page in ("csv", "json"):
        (curves_csv if page == "csv" else to_json)([record(Run(folder), reader)])
    elif page == "bundle":
        with open(os.devnull, "w") as nothing:
            write_events(Run(folder), nothing)
    else:
        reader.start(), reader.newest_step()
        for what in ("loss", "accuracy"):
            curve_spec(curves(reader.history(), what), what, EPOCHS)
    spent = time.perf_counter() - begun
    print(f"{spent:.2f} s, {resident('VmHWM') - before:.0f} MB")


def resident(name: str) -> float:
    """Megabytes of this process: VmRSS at present, VmHWM at most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1_500_000)
    parser.add_argument("--look", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.look:
        look(asked.look[0], Path(asked.look[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        run = make(Path(folder), asked.steps)
        print(f"{asked.steps:,} steps, {run.metrics_path.stat().st_size / 1e6:.0f} MB of log")
        for page in ("compare", "train", "csv", "json", "bundle"):
            looks = ("first", "second", "third") if page in ("compare", "train") else ("only",)
            if len(looks) > 1:
                (run.folder / "metrics.columns").unlink(missing_ok=True)
            for number in looks:
                command = [sys.executable, "-m", "benchmarks.long_history", "--look", page, str(run.folder)]
                shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
                print(f"{page}, {number} look: {shown}", flush=True)


if __name__ == "__main__":
    main()
