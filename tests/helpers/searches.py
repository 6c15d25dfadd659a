"""Searches whose trials have ended without any training."""

from collections.abc import Callable, Sequence
from typing import Any

import optuna

from mnist_core.experiments.search import Search, begin_search
from mnist_core.experiments.search_plan import checked_budget, make_plan
from mnist_core.experiments.search_space import parse_range
from mnist_core.experiments.search_work import _run_of, take
from tests.helpers.runs import CONFIG

RANGES = ("learning_rate=1e-4:1e-1:log", "dropout=0:0.5")


def told(
    values: Sequence[float | Callable[[dict], float]],
    name: str = "told",
    ranges: Sequence[str] = RANGES,
    owner: str = "",
    runs: bool = False,
    **changes: Any,
) -> Search:
    """A search of random settings whose trials have these validation accuracies, or what is made of their settings.

    With `runs` each has a run, which never began.
    """
    base = CONFIG.replace(**changes)
    plan = make_plan(base, [parse_range(text, base) for text in ranges], name, sampler="random", owner=owner)
    search = begin_search(plan, checked_budget(len(values), None))
    for value in values:
        taken = take(search)
        assert taken is not None
        search.study.sampler = optuna.samplers.RandomSampler(seed=taken.trial.number)
        settings = {found.field: found.suggest(taken.trial) for found in plan.ranges}
        if runs:
            _run_of(search, taken.trial, settings)
        search.study.tell(taken.trial, value(settings) if callable(value) else value)
        taken.lock.release()
    return search
