"""Commands by which a model or a run leaves this lab for something else, and comes in from another."""

from __future__ import annotations

import argparse
from pathlib import Path

from mnist_core.cli.output import print_result
from mnist_core.errors import ConfigError

FORMATS = ("html", "onnx", "report", "script", "notebook", "card")  # of experiments/formats.py, imported when needed


def export_files(options: argparse.Namespace) -> None:
    """`export` in another form than a checkpoint's."""
    from mnist_core.experiments.formats import FORMATS
    from mnist_core.models.checkpoint import find_checkpoint
    from mnist_core.system.files import write_atomic

    if options.summary or options.about:
        raise ConfigError("--summary and --about go into a checkpoint's card: leave them out with --format.")
    folder = Path(options.folder)
    if folder.exists():
        raise ConfigError(f"{folder} is there already: choose another folder or remove it.")
    files = FORMATS[options.format].make(find_checkpoint(options.checkpoint))
    try:
        folder.mkdir(parents=True)
        for name, content in files.items():
            write_atomic(folder / name, content)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written ({error.strerror}).") from None
    paths = [str(folder / name) for name in files]
    size = sum(map(len, files.values()))
    result = {"files": paths, "bytes": size}
    said = FORMATS[options.format].said
    print_result(options, result, f"Written: {', '.join(paths)} ({size / 1e6:.2f} MB). {said}")


def run_import(options: argparse.Namespace) -> None:
    from mnist_core.experiments.imports import import_bundle
    from mnist_core.runs.limits import check_limits

    check_limits([], options.runs_dir)
    run = import_bundle(Path(options.bundle), options.runs_dir, options.owner)
    result = {"run_id": run.id, "run_dir": str(run.folder), "checkpoint": str(run.checkpoint())}
    print_result(options, result, f"The run is {run.id}; its model is in {run.checkpoint()}")
