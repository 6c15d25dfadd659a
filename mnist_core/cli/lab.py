"""Commands on the whole lab: download, reproduce, bench, recipes."""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path

from mnist_core.cli.output import print_result, progress_bar
from mnist_core.errors import ConfigError, RunFailedError
from mnist_core.system.threads import pin_threads_to_cores


def run_download(options: argparse.Namespace) -> None:
    from mnist_core.data.dataset import dataset_title
    from mnist_core.data.download import download
    from mnist_core.data.loading import load_dataset
    from mnist_core.system.settings import data_folder

    data_dir, title = Path(options.data_dir) if options.data_dir else data_folder(), dataset_title(options.dataset)
    steps = download(options.dataset, data_dir)
    with contextlib.closing(steps), progress_bar(f"downloading {title}") as progress:
        for step in steps:
            done = step.done_bytes / step.total_bytes if step.total_bytes else 0.0
            progress((step.file_index - 1 + done) / step.file_count)
    data = load_dataset(options.dataset, data_dir)
    result = {"data_dir": str(data_dir), "train": len(data.train_labels), "test": len(data.test_labels)}
    print_result(options, result, f"{title} is in {data_dir}.")


def run_reproduce(options: argparse.Namespace) -> None:
    pin_threads_to_cores()
    from dataclasses import asdict

    from tqdm import tqdm

    from mnist_core.experiments.reproduce import chosen_claims, reproduce, save_rows, table
    from mnist_core.system.settings import data_folder, runs_folder

    if not 1 <= options.seeds <= 100:
        raise ConfigError(f"--seeds should be from 1 to 100, not {options.seeds}.")
    if options.keep and not Path(options.keep).absolute().parent.is_dir():  # known now rather than after hours
        raise ConfigError(f"--keep {options.keep} is in no folder that is there: make it first.")
    claims = chosen_claims(options.recipes.split(",") if options.recipes else None)
    runs_dir = Path(options.runs_dir) if options.runs_dir else runs_folder()
    data_dir = Path(options.data_dir) if options.data_dir else data_folder()
    with tqdm(unit="epoch", file=sys.stderr, mininterval=0.5) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        rows, skipped = reproduce(claims, range(options.seeds), runs_dir, data_dir, options.cifar10, show)
    for sentence in skipped:
        print(f"skipped: {sentence}", file=sys.stderr)
    result = [{**asdict(row), "outcome": row.outcome} for row in rows]
    print_result(options, {"rows": result, "skipped": skipped}, table(rows))
    if options.keep:
        try:
            save_rows(rows, Path(options.keep))
        except OSError as error:
            raise RunFailedError(f"The rows cannot be written to {options.keep} ({error.strerror}).") from None


def run_bench(options: argparse.Namespace) -> None:
    pin_threads_to_cores()
    from dataclasses import asdict

    from mnist_core.experiments.speed import bench, report
    from mnist_core.system.settings import data_folder

    if not 1 <= options.seeds <= 100:
        raise ConfigError(f"--seeds should be from 1 to 100, not {options.seeds}.")
    data_dir = Path(options.data_dir) if options.data_dir else data_folder()
    result = bench(range(options.seeds), data_dir, lambda sentence: print(sentence, file=sys.stderr, flush=True))
    print_result(options, {**asdict(result), "ratio": result.ratio}, report(result))


def run_recipes(options: argparse.Namespace) -> None:
    from mnist_core.recipes import RECIPES

    listed = {name: {"title": r.title, "summary": r.summary, "settings": r.settings} for name, r in RECIPES.items()}
    print_result(options, listed, "\n".join(f"{name:14} {r.title}. {r.summary}" for name, r in RECIPES.items()))
