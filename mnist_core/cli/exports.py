"""Commands by which a model or a run leaves this lab for something else, and comes in from another."""

from __future__ import annotations

import argparse
from pathlib import Path

from mnist_core.cli.output import print_result


def run_import(options: argparse.Namespace) -> None:
    from mnist_core.experiments.imports import import_bundle
    from mnist_core.runs.limits import check_limits

    check_limits([], options.runs_dir)
    run = import_bundle(Path(options.bundle), options.runs_dir, options.owner)
    result = {"run_id": run.id, "run_dir": str(run.folder), "checkpoint": str(run.checkpoint())}
    print_result(options, result, f"The run is {run.id}; its model is in {run.checkpoint()}")
