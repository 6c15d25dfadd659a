"""`search`: settings within ranges, tried by Optuna, judged on validation."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_core.cli.output import print_note, print_result
from mnist_core.cli.settings import named_config
from mnist_core.config import parse_assignments
from mnist_core.errors import ConfigError, LabError, RunFailedError
from mnist_core.system.threads import lower_priority, pin_threads_to_cores

if TYPE_CHECKING:
    from mnist_core.experiments.search import Search


def run_search(options: argparse.Namespace) -> None:
    if options.background:
        lower_priority()
    pin_threads_to_cores()
    from mnist_core.experiments.search import join_search
    from mnist_core.experiments.search_storage import StorageError
    from mnist_core.experiments.search_work import work
    from mnist_core.system.device import divide_cores
    from mnist_core.system.settings import data_folder

    divide_cores()
    data_dir = Path(options.data_dir) if options.data_dir else data_folder()
    if options.join:
        given = [name for name in _OF_A_NEW_ONE if getattr(options, name)]
        if given:
            raise ConfigError(f"--join takes a search as it is: leave out --{given[0].replace('_', '-')}.")
        search = join_search(options.join, options.runs_dir, options.storage)
    else:
        search = _begin(options, data_dir)
    print(f"search {search.plan.name}: another process joins it by --join {search.plan.name}", file=sys.stderr)
    try:
        work(search, data_dir, lambda sentence: print(sentence, file=sys.stderr, flush=True))
    except StorageError as error:
        raise RunFailedError(
            f"{error} Nothing is lost: `search --join {search.plan.name}` goes on, and tells what was trained."
        ) from None
    except LabError as error:
        raise RunFailedError(str(error)) from None
    _print(options, search)


_OF_A_NEW_ONE = (
    "recipe",
    "dataset",
    "epochs",
    "range",
    "set",
    "trials",
    "minutes",
    "sampler",
    "pruner",
    "study",
    "owner",
)


def _begin(options: argparse.Namespace, data_dir: Path) -> Search:
    from mnist_core.experiments.search import begin_search
    from mnist_core.experiments.search_plan import checked_budget, make_plan
    from mnist_core.experiments.search_space import check_networks, parse_range
    from mnist_core.runs.limits import check_limits

    base = named_config(options, data_dir, "searching")
    if searched := {text.partition("=")[0].strip() for text in options.range} & set(parse_assignments(options.set)):
        raise ConfigError(f"{min(searched)} has both a range and a value: give one.")
    ranges = [parse_range(text, base) for text in options.range]
    plan = make_plan(
        base, ranges, options.study or "", options.sampler or "tpe", options.pruner or "asha", options.owner
    )
    budget = None
    if options.trials or options.minutes or not options.study:
        budget = checked_budget(_number(options.trials, int, "trials"), _number(options.minutes, float, "minutes"))
    print_note(check_networks(base, plan.ranges, data_dir))
    check_limits([plan.longest], options.runs_dir)
    search = begin_search(plan, budget, options.runs_dir, options.storage)
    search.go_on()
    return search


def _number(text: str | None, kind: type, name: str) -> Any:
    if text is None:
        return None
    try:
        return kind(text)
    except ValueError:
        raise ConfigError(f"--{name} should be a {'whole ' if kind is int else ''}number, not '{text[:40]}'.") from None


def _print(options: argparse.Namespace, search: Search) -> None:
    from mnist_core.experiments.search_space import settings_words

    tried, best = search.trials(), search.best()
    counted = [one for one in tried if one.counted]
    failed = [one for one in tried if one.state == "failed"]
    if best is None:
        last = f" The last one: {failed[-1].why}" if failed else ""
        raise RunFailedError(f"No trial of the search {search.plan.name} has reached its end.{last}")
    pruned = sum(one.state == "pruned" for one in counted)
    run_dir = str(best.run.folder) if best.run else best.run_dir
    result = {
        "study": search.plan.name,
        "trials": len(counted),
        "pruned": pruned,
        "failed": len(failed),
        "best": {"val_accuracy": best.value, "settings": best.settings, "run_dir": run_dir},
    }
    print_result(
        options,
        result,
        f"{search.plan.name}: {len(counted)} trials, {pruned} of them pruned. The best reached {best.value:.4f} on "
        f"validation with {settings_words(best.settings)}. As the best of many it is flattered: train these settings "
        f"anew with other seeds.\nIts run is {run_dir}",
    )
