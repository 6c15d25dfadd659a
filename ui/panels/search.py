"""Searches on the Compare page: start, watch, read what was found, and train the winner with other seeds."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from mnist_core.experiments.search import Search, Tried, list_searches, open_search, storage_sentences
from mnist_core.experiments.search_plan import Plan, checked_budget
from mnist_core.experiments.search_results import FEWEST_TRIALS, last_words
from mnist_core.experiments.search_space import settings_words
from mnist_core.experiments.search_winner import Winner, read_winner
from mnist_core.figures.search import (
    Axis,
    Point,
    best_so_far_figure,
    contour_figure,
    importance_figure,
    parallel_figure,
    slice_figure,
)
from mnist_core.inference.interval import accuracy_text
from mnist_core.models.checkpoint import read_card
from mnist_core.runs.snapshot import duration
from mnist_core.system.settings import runs_folder
from ui import actions, cache, page
from ui.labels import compare_link, run_link
from ui.live.chart import live_chart
from ui.panels.search_form import MOST_WORKERS, begun, just_begun, new_search
from ui.user import current_user
from ui.waiting import one_at_a_time

REFRESH_SECONDS = 2.0
CHART_HEIGHT = 360


def search() -> None:
    """The whole section. Raises LabError."""
    plans = list_searches()
    st.markdown(
        "Which settings are best? The search tries some, learns from how they do on **validation**, and tries better "
        "ones. Each trial is a run of its own; the test images choose nothing."
    )
    if actions.changeable():
        with st.expander("A new search", expanded=not plans, icon=":material/search:"), page.errors_as_messages():
            new_search()
    if not plans:
        return
    by_name = {plan.name: plan for plan in plans}
    if st.session_state.get("search") not in by_name:
        st.session_state["search"] = plans[0].name
    chosen = st.selectbox(
        "Search", list(by_name), format_func=lambda name: _label(by_name[name]), key="search", persist_state="session"
    )
    found = _opened(chosen, str(runs_folder().resolve()))
    with storage_sentences(found.where):
        active = _active(found)
    st.fragment(_watch, run_every=REFRESH_SECONDS if active else None)(found, active)


@st.cache_resource(show_spinner=False, max_entries=16)
def _opened(name: str, runs_dir: str) -> Search:
    return open_search(name, runs_dir)


def _label(plan: Plan) -> str:
    fields = ", ".join(found.field.replace("_", " ") for found in plan.ranges)
    return f"{plan.name}: {fields} on {plan.base.dataset}"


def _active(found: Search) -> bool:
    if found.workers() or (just_begun(found.plan.name) and not found.over()):
        return True
    winner = read_winner(found)
    return winner is not None and any(run.status().active for run in winner.runs())


def _watch(found: Search, was_active: bool) -> None:
    with page.errors_as_messages(), storage_sentences(found.where):
        if was_active and not _active(found):
            st.rerun()
        tried = found.trials()
        _progress(found, tried)
        best = found.best()
        if best is not None:
            _best(found, best, tried)
        points = [
            Point(one.number, one.value, one.state == "pruned", one.settings)
            for one in tried
            if one.counted and one.value is not None and len(one.settings) == len(found.plan.ranges)
        ]
        if points:
            live_chart(best_so_far_figure(points), key=f"best-{found.plan.name}", height=CHART_HEIGHT)
            _views(found, points)
        if tried:
            _table(found, tried)


# ---- progress and control -------------------------------------------------------------------------------------------


def _progress(found: Search, tried: Sequence[Tried]) -> None:
    budget, workers = found.budget, len(found.workers())
    counted = [one for one in tried if one.counted]
    pruned = sum(one.state == "pruned" for one in counted)
    if budget.trials is not None:
        share, words = len(counted) / budget.trials, f"{len(counted)} of {budget.trials} trials ended"
    else:
        left = max(0.0, (budget.deadline or 0.0) - time.time())
        share, words = 0.0 if left else 1.0, f"{len(counted)} trials ended · {duration(left)} left"
    words += f", {pruned} of them pruned" if pruned else ""
    training = sum(one.state == "running" for one in tried)
    words += f" · {training} under way" if training else ""
    words += f" · {workers} process{'es' if workers != 1 else ''} at work" if workers else ""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(min(1.0, share), words)
        if actions.changeable():
            _controls(found, workers)
    if not workers and just_begun(found.plan.name) and not found.over():
        st.caption("A process begins: that takes some seconds.")
    elif found.stopped:
        st.caption("The search was stopped: Continue takes its trials up where they stand.")
    elif not workers and not found.over():
        said = last_words(found)
        st.warning(page.escape_markdown(said) if said else "No process works on this search: Continue starts one.")
    for one in [one for one in tried if one.state == "failed"][-3:]:
        st.caption(f"Trial {one.number} failed and does not count: {page.escape_markdown(one.why)}")


def _controls(found: Search, workers: int) -> None:
    name = found.plan.name
    if workers or just_begun(found.plan.name):
        owner = found.plan.owner
        if owner in ("", current_user()):
            if st.button("Stop", key=f"stop-{name}", icon=":material/stop:"):
                _stop(found)
        else:
            with st.popover("Stop", icon=":material/stop:"):
                st.markdown(f"Not yours: it belongs to **{page.escape_markdown(owner)}**.")
                if st.button(f"Yes, stop the search of {owner}", key=f"stop-{name}"):
                    _stop(found)
        return
    with st.popover("Continue", icon=":material/play_arrow:"):
        now = found.budget.trials or sum(one.counted for one in found.trials())
        trials = st.number_input("Trials in all", 1, 10_000, now, key=f"more-{name}-{now}")
        count = st.number_input("Processes", 1, MOST_WORKERS, 1, key=f"processes-{name}")
        if st.button("Continue", key=f"continue-{name}", type="primary"):
            actions.continue_search(found, int(count), checked_budget(int(trials), None))
            begun(name)
            st.rerun()


def _stop(found: Search) -> None:
    actions.stop_search(found)
    st.session_state.pop(f"begun-{found.plan.name}", None)
    st.rerun()


# ---- what was found -------------------------------------------------------------------------------------------------


def _best(found: Search, best: Tried, tried: Sequence[Tried]) -> None:
    value = best.value or 0.0
    link = f" [Its run]({run_link(best.run)})" if best.run is not None else " Its run is not on this machine."
    st.markdown(
        f"Best so far: **{_accuracy(best, value)}** on validation, by trial {best.number} with "
        f"{page.escape_markdown(settings_words(best.settings))}.{link}"
    )
    winner = read_winner(found)
    if winner is not None:
        _winner(winner)
    training = winner is not None and any(run.status().active for run in winner.runs())
    if actions.changeable() and not training:
        _offer_seeds(found)


def _offer_seeds(found: Search) -> None:
    if st.button(
        "Train the winner with five seeds",
        key=f"winner-{found.plan.name}",
        icon=":material/emoji_events:",
        help="Five ordinary runs of the best settings, with seeds that the search did not use. The best of many tries "
        "is partly luck: this says how good its settings really are.",
    ):
        actions.train_winner(found)
        st.rerun()


def _accuracy(best: Tried, value: float) -> str:
    """With its 95 % interval, where the run's card knows of how many images."""
    images = 0
    if best.run is not None and (folder := best.run.checkpoint()) is not None:
        images = int(read_card(folder).metrics.get("val_images", 0))
    return accuracy_text(value, images)


def _winner(winner: Winner) -> None:
    runs = winner.runs()
    ended = sum(not run.status().active for run in runs)
    with st.container(border=True):
        st.markdown(f"**Trial {winner.number} with fresh seeds** · {ended} of {len(winner.ids)} runs ended")
        validation, test = winner.spread("val_accuracy"), winner.spread("test_accuracy")
        if validation.values:
            with st.container(horizontal=True):
                st.metric("The search's own figure", f"{100 * winner.value:.2f} %", border=True, width=320)
                st.metric("Validation, fresh seeds", validation.text(percent=True), border=True, width=320)
                if test.values:
                    st.metric("Test, fresh seeds", test.text(percent=True), border=True, width=320)
            st.caption(winner.sentence())
        if runs:
            st.markdown(f"[Compare these runs]({compare_link(runs)})")


def _views(found: Search, points: Sequence[Point]) -> None:
    axes = [Axis(one.field, one.log, one.choices) for one in found.plan.ranges]
    views: dict[str, Callable[[Search, Sequence[Point], list[Axis]], None]] = {
        "All settings": _parallel,
        "Importance": _importance,
        "One setting": _slice,
    }
    if len(axes) > 1:
        views["Two settings"] = _contour
    chosen = st.segmented_control(
        "Show", list(views), default="All settings", key="search-view", persist_state="session"
    )
    with page.errors_as_messages():
        views.get(chosen or "", _parallel)(found, points, axes)


def _parallel(found: Search, points: Sequence[Point], axes: list[Axis]) -> None:
    live_chart(parallel_figure(points, axes), key=f"parallel-{found.plan.name}", height=CHART_HEIGHT)
    st.caption("A line for each trial; orange ones did best, grey ones worst. Point at one for its settings.")


def _importance(found: Search, points: Sequence[Point], axes: list[Axis]) -> None:
    shares = _shares(found.plan.name, str(found.runs_dir.resolve()), len(points))
    if not shares:
        st.caption(f"It takes at least {FEWEST_TRIALS} trials that differ to say which setting matters.")
        return
    live_chart(importance_figure(shares), key=f"importance-{found.plan.name}", height=120 + 40 * len(shares))
    st.caption(
        "How much of the difference between trials each setting explains (functional ANOVA). A setting whose range is "
        "narrow explains little, however much it matters elsewhere."
    )


@st.cache_data(show_spinner=False, max_entries=64)
def _shares(name: str, runs_dir: str, counted: int) -> dict[str, float]:
    with one_at_a_time("Weighing the settings …"):
        shares: dict[str, float] = cache.workers().call("experiments.search_results:importance", name, runs_dir)
        return shares


def _field(label: str, axes: list[Axis], place: int, key: str) -> Axis:
    by_field = {axis.field: axis for axis in axes}
    names = list(by_field)
    if st.session_state.get(key) not in by_field:  # of another search
        st.session_state[key] = names[min(place, len(names) - 1)]
    return by_field[
        st.selectbox(label, names, format_func=lambda name: by_field[name].title, key=key, persist_state="session")
    ]


def _slice(found: Search, points: Sequence[Point], axes: list[Axis]) -> None:
    axis = _field("Setting", axes, 0, "search-slice")
    live_chart(slice_figure(points, axis), key=f"slice-{found.plan.name}-{axis.field}", height=CHART_HEIGHT)
    st.caption("A pruned trial stands at the last validation that it had.")


def _contour(found: Search, points: Sequence[Point], axes: list[Axis]) -> None:
    columns = st.columns(2)
    with columns[0]:
        across = _field("Across", axes, 0, "search-across")
    with columns[1]:
        up = _field("Up", axes, 1, "search-up")
    if across == up:
        st.caption("Choose two different settings.")
        return
    key = f"contour-{found.plan.name}-{across.field}-{up.field}"
    live_chart(contour_figure(points, across, up), key=key, height=CHART_HEIGHT + 60)
    st.caption("Bright: a high validation accuracy. Between the trials it is guessed from the near ones.")


def _table(found: Search, tried: Sequence[Tried]) -> None:
    rows = [_row(one) for one in reversed(tried)]
    st.dataframe(
        rows,
        hide_index=True,
        height=min(38 + 35 * len(rows), 388),
        placeholder="–",
        column_config={
            "validation": st.column_config.NumberColumn(
                format="percent", help="Accuracy on the held-out images; of a pruned trial the last one"
            ),
            "run": st.column_config.LinkColumn(display_text="open", help="Opens it on the Train page"),
            "seconds": st.column_config.NumberColumn(format="%.1f"),
        },
    )


def _row(one: Tried) -> dict[str, Any]:
    return {
        "trial": one.number,
        "state": one.state,
        "validation": one.value,
        **{name.replace("_", " "): value for name, value in one.settings.items()},
        "run": run_link(one.run) if one.run is not None else None,
        "seconds": one.seconds,
        "why": one.why,
    }
