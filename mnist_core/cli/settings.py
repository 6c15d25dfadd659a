"""The settings that a command's options name."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from mnist_core.config import TrainConfig, parse_assignments


def named_config(options: argparse.Namespace, data_dir: Path, doing: str) -> TrainConfig:
    """The settings of --recipe for --dataset, with --set, and --epochs and --seed where the command has them.

    Where no dataset is named and MNIST is missing, what is built in takes its place, and stderr says so: `doing` is the
    verb of that sentence. Raises what `parse_assignments`, `get_recipe` and `completed` raise.
    """
    from mnist_core.data.loading import default_dataset
    from mnist_core.experiments.teach import completed
    from mnist_core.recipes import get_recipe

    dataset = options.dataset or default_dataset(data_dir)
    if not options.dataset and dataset != "mnist":
        print(f"MNIST is not in {data_dir}: {doing} on the built-in '{dataset}'.", file=sys.stderr)
    given = vars(options)
    named: dict[str, Any] = {name: given[name] for name in ("epochs", "seed") if given.get(name) is not None}
    named |= parse_assignments(options.set)
    config = get_recipe(options.recipe or "quick").config(dataset).replace(**named)
    return completed(config, data_dir, given=named)
