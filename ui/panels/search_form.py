"""A new search: which settings within which ranges, how many trials, by which processes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

import streamlit as st

from mnist_core.config import TrainConfig, field_choices, field_help
from mnist_core.experiments.search_plan import DEFAULT_TRIALS, Budget, checked_budget, make_plan
from mnist_core.experiments.search_space import Range, checked_range, parse_range
from mnist_core.models.architectures import MODELS
from mnist_core.runs.snapshot import duration
from mnist_core.system.settings import parallel_runs
from ui import actions, cache, page
from ui.user import current_user
from ui.widgets.base_settings import choose_base, is_missing

MOST_WORKERS = 8
STARTING_SECONDS = 30.0
# field → (name, lowest, highest, by its logarithm): where the widgets begin
NUMBERS: dict[str, tuple[str, str, str, bool]] = {
    "learning_rate": ("Learning rate", "0.0003", "0.03", True),
    "dropout": ("Dropout", "0", "0.5", False),
    "weight_decay": ("Weight decay", "0.000001", "0.01", True),
    "label_smoothing": ("Label smoothing", "0", "0.2", False),
    "momentum": ("Momentum (SGD only)", "0.5", "0.99", False),
    "l2_first": ("L2 of the first dense layer", "0.000001", "0.01", True),
    "rotation": ("Rotation (degrees)", "0", "20", False),
    "translation": ("Shift (pixels)", "0", "3", False),
    "scaling": ("Scaling", "0", "0.2", False),
    "elastic": ("Elastic bending (pixels)", "0", "3", False),
    "epochs": ("Epochs", "1", "10", False),
}
CHOICES: dict[str, tuple[str, list[str], list[str]]] = {
    "batch_size": ("Batch size", ["16", "32", "64", "128", "256", "512"], ["32", "64", "128"]),
    "optimizer": ("Optimizer", field_choices("optimizer"), ["adam", "adamw", "sgd"]),
    "schedule": ("Schedule", field_choices("schedule"), ["constant", "one-cycle"]),
    "activation": ("Activation", field_choices("activation"), ["relu", "gelu"]),
    "batch_norm": ("Batch norm", ["on", "off"], ["on", "off"]),
    "model": ("Network", list(MODELS), ["quick-cnn", "small-cnn"]),
}
NAMES = {field: names[0] for field, names in (NUMBERS | CHOICES).items()}
PRUNERS = {"asha": "Successive halving", "median": "Below the median", "none": "None"}
SAMPLERS = {"tpe": "By what did well (TPE)", "random": "At random"}


def new_search() -> None:
    """The form and its button. Raises LabError."""
    base = choose_base("search")
    if base is None:
        return
    fields = st.multiselect(
        "Settings to search",
        list(NAMES),
        default=["learning_rate", "dropout"],
        format_func=NAMES.__getitem__,
        help="All others stay as the recipe has them.",
        key="search-fields",
        persist_state="session",
    )
    ranges = [_choices(field, base) if field in CHOICES else _numbers(field, base) for field in fields]
    budget, workers, sampler, pruner = _how()
    missing = is_missing(base)
    if not missing and budget.trials is not None:
        actions.warm()
        page.when_ready(
            partial(_estimate, base, budget.trials, workers),
            actions.settled,
            partial(st.caption, "How long it takes is being measured."),
        )
    if st.button("Start", type="primary", icon=":material/play_arrow:", disabled=missing, key="search-start"):
        plan = make_plan(base, ranges, sampler=sampler, pruner=pruner, owner=current_user())
        with st.spinner("Checking that both ends of each range can be trained …"):
            actions.start_search(plan, budget, workers)
        begun(plan.name)
        st.session_state["search"] = plan.name
        st.rerun()


def begun(name: str) -> None:
    """Remembers that a process was started for the search just now."""
    st.session_state[f"begun-{name}"] = time.time()


def just_begun(name: str) -> bool:
    """Whether one was started a moment ago: it takes some seconds to be at work."""
    return time.time() - float(st.session_state.get(f"begun-{name}", 0.0)) < STARTING_SECONDS


def _numbers(field: str, base: TrainConfig) -> Range:
    name, low, high, log = NUMBERS[field]
    columns = st.columns([3, 3, 2], vertical_alignment="bottom")
    typed = [
        columns[place].text_input(
            f"{name}: {end}", value, help=field_help(field), key=f"search-{end}-{field}", persist_state="session"
        )
        for place, (end, value) in enumerate((("from", low), ("to", high)))
    ]
    by_log = columns[2].checkbox(
        "logarithmic",
        log,
        help="As many trials from 0.001 to 0.01 as from 0.01 to 0.1: for settings whose order of magnitude matters",
        key=f"search-log-{field}",
        persist_state="session",
    )
    return parse_range(f"{field}={typed[0]}:{typed[1]}{':log' if by_log else ''}", base)


def _choices(field: str, base: TrainConfig) -> Range:
    name, options, start = CHOICES[field]
    chosen: Sequence[str] = st.multiselect(
        f"{name}: values",
        options,
        default=start,
        accept_new_options=field == "batch_size",
        help=field_help(field),
        key=f"search-values-{field}",
        persist_state="session",
    )
    return checked_range(Range(field, choices=tuple(chosen)), base)


def _how() -> tuple[Budget, int, str, str]:
    """The budget, the number of processes, the sampler and the pruner."""
    columns = st.columns([2, 2, 2, 3, 3])
    by_minutes = (
        columns[0].selectbox(
            "Until", ["trials", "minutes"], help="What ends it", key="search-until", persist_state="session"
        )
        == "minutes"
    )
    if by_minutes:
        minutes = columns[1].number_input("Minutes", 1, 10_000, 10, key="search-minutes", persist_state="session")
        budget = checked_budget(None, float(minutes))
    else:
        trials = columns[1].number_input(
            "Trials", 1, 1000, DEFAULT_TRIALS, key="search-trials", persist_state="session"
        )
        budget = checked_budget(int(trials), None)
    workers = columns[2].number_input(
        "Processes",
        1,
        MOST_WORKERS,
        1,
        help=f"That work on it. {parallel_runs()} train at once on this machine (MNIST_LAB_PARALLEL); the others wait.",
        key="search-workers",
        persist_state="session",
    )
    sampler = columns[3].selectbox(
        "Choose settings",
        list(SAMPLERS),
        format_func=SAMPLERS.__getitem__,
        key="search-sampler",
        persist_state="session",
    )
    pruner = columns[4].selectbox(
        "End poor trials early",
        list(PRUNERS),
        format_func=PRUNERS.__getitem__,
        help="By their validation accuracy beside that of other trials at the same epoch. The test images choose "
        "nothing.",
        key="search-pruner",
        persist_state="session",
    )
    return budget, int(workers), sampler, pruner


def _estimate(base: TrainConfig, trials: int, workers: int) -> None:
    seconds = cache.measured_seconds(base.replace(seed=0)) * trials / min(parallel_runs(), workers)
    st.caption(f"At most about {duration(seconds)} on this machine, less by what is ended early.")
