"""Commands that look for a setting before a training: find-lr, batch-size."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from mnist_core.cli.output import print_note, print_result, progress_bar
from mnist_core.cli.settings import named_config
from mnist_core.config import TrainConfig
from mnist_core.data.dataset import Dataset
from mnist_core.errors import ConfigError
from mnist_core.system.progress import Progress
from mnist_core.system.threads import pin_threads_to_cores


def run_find_lr(options: argparse.Namespace) -> None:
    from mnist_core.training.range_test import LONGEST_SECONDS, range_test

    if not 1 <= options.seconds <= LONGEST_SECONDS:
        raise ConfigError(f"--seconds should be from 1 to {LONGEST_SECONDS}, not {options.seconds:g}.")
    config, data = _asked(options)
    with _bar_when_begun("range test") as progress:
        found = range_test(config, data, progress, options.seconds)
    print_result(options, asdict(found), found.reason)


def run_batch_size(options: argparse.Namespace) -> None:
    from mnist_core.training.batch_speed import batch_speeds

    config, data = _asked(options)
    with _bar_when_begun("batch sizes") as progress:
        found = batch_speeds(config, data, progress)
    lines = [f"{one.size:5d} {one.images_per_second:10,.0f} {one.steps_per_epoch:8,d}" for one in found.speeds]
    print_result(options, asdict(found), "\n".join([" size   images/s    steps", *lines, found.reason]))


@contextlib.contextmanager
def _bar_when_begun(title: str) -> Iterator[Progress]:
    """A progress bar from the first share on: what is refused before is one line."""
    with contextlib.ExitStack() as shown:
        bar: list[Progress] = []

        def show(share: float) -> None:
            if not bar:
                bar.append(shown.enter_context(progress_bar(title)))
            bar[0](share)

        yield show


def _asked(options: argparse.Namespace) -> tuple[TrainConfig, Dataset]:
    """The settings that recipe, dataset and --set name, and their data. Raises ConfigError or DataError."""
    pin_threads_to_cores()
    from mnist_core.data.prepare import load_for
    from mnist_core.system.settings import data_folder

    data_dir = Path(options.data_dir) if options.data_dir else data_folder()
    config = named_config(options, data_dir, "measuring")
    data = load_for(config, data_dir, further=True)
    print_note(data.warning)
    return config, data
