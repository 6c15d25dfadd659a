"""Several seeds of one configuration on the Train page: mean curves with bands, and the figures with their spread."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from mnist_core.data.dataset import dataset_title
from mnist_core.experiments.seeds import SeedGroup, Spread
from mnist_core.models.checkpoint import read_card
from mnist_core.runs.history import shared_reader
from mnist_core.runs.labels import run_label
from mnist_core.runs.run import Run
from mnist_core.runs.seed_snapshots import MOST_SHOWN, SeedSnapshots, seeds_progress, shortfalls, together
from mnist_core.runs.snapshot import stage
from ui import actions, page
from ui.labels import trained_words
from ui.live.chart import feed_path, live_chart, live_progress
from ui.panels.run import CHART_HEIGHT, CHARTS_SECONDS, WORDS, WORDS_SECONDS, WORDS_SECONDS_FED
from ui.panels.run_controls import FOLLOW
from ui.widgets import confirm
from ui.widgets.table import Column, show_table

_TOGETHER = "seeds-together"


def choose_view(group: SeedGroup, run: Run) -> bool:
    """A switch between all seeds and one of them, where there are several; whether all are to be shown."""
    if not group.several:
        return False
    if FOLLOW in st.session_state:
        st.session_state[_TOGETHER] = st.session_state.pop(FOLLOW)
    # a single run that trains beside ended ones has been started by itself
    st.session_state.setdefault(_TOGETHER, sum(each.status().active for each in group.runs) != 1)
    by_seed = dict(zip(group.seeds, group.counted, strict=True))
    by_seed[run.config().seed] = run

    def show_seed() -> None:
        st.session_state["run"] = by_seed[st.session_state["one-seed"]].id

    with st.container(horizontal=True, vertical_alignment="center"):
        shown: bool = st.toggle(
            f"All {len(group.seeds)} seeds together",
            key=_TOGETHER,
            persist_state="session",
            help="These runs have the same settings and differ by their seed alone: what they differ in is chance.",
        )
        if not shown:
            st.session_state["one-seed"] = run.config().seed
            st.selectbox(
                "Seed",
                list(by_seed),
                key="one-seed",
                on_change=show_seed,
                format_func=lambda seed: f"seed {seed}",
                label_visibility="collapsed",
                width=130,
            )
    return shown


def show_seeds(group: SeedGroup) -> None:
    """The panel of all seeds. It refreshes itself while one of them is active, and the page when one ends."""
    runs = group.counted[:MOST_SHOWN]
    active = together([run.status() for run in runs]).active
    feed = _feed(runs) if active else None
    words_every = WORDS_SECONDS if feed is None else WORDS_SECONDS_FED
    st.fragment(_words, run_every=words_every if active else None)(runs, active, feed)
    st.fragment(_charts, run_every=CHARTS_SECONDS if active and feed is None else None)(runs, feed)
    with page.errors_as_messages():
        _outcome(group)


def _feed(runs: Sequence[Run]) -> str | None:
    return feed_path(runs[0].id, seeds=[run.id for run in runs[1:]])


def _words(runs: Sequence[Run], was_active: bool, fed: str | None) -> None:
    with page.errors_as_messages():
        statuses = [run.status() for run in runs]
        status = together(statuses)
        if was_active and (not status.active or _feed(runs) != fed):
            st.rerun()
        word, colour, icon = WORDS[status.state]
        with st.container(horizontal=True, vertical_alignment="center"):
            st.badge(word, color=colour, icon=icon)
            st.markdown(f"**{page.escape_markdown(run_label(runs[0]))}**", width="content")
            under_way = [run for run, each in zip(runs, statuses, strict=True) if each.active]
            if under_way and actions.changeable() and st.button("Stop all", key="stop-seeds", icon=":material/stop:"):
                confirm.stop(under_way)
        shown = seeds_progress([shared_reader(run) for run in runs], statuses)
        if live_progress(shown, f"progress-{runs[0].id}", feed=fed, state=stage(status)):
            st.rerun()
        for run, each in zip(runs, statuses, strict=True):
            if each.state in ("failed", "crashed"):
                st.error(f"Seed {run.config().seed}: {page.escape_markdown(each.reason)}", icon=":material/error:")
        _what(runs)


def _what(runs: Sequence[Run]) -> None:
    config = runs[0].config()
    start = next((start for run in runs if (start := shared_reader(run).start()) is not None), None)
    known = trained_words(start, page.escape_markdown(dataset_title(config.dataset)))
    seeds = ", ".join(str(run.config().seed) for run in runs)
    st.caption(f"{known}, seeds {seeds}")


def _charts(runs: Sequence[Run], feed: str | None) -> None:
    with page.errors_as_messages():
        status, shown, _ = SeedSnapshots(runs).take()
        for key, figure in shown.items():
            if live_chart(figure, key=key, height=CHART_HEIGHT, feed=feed, state=stage(status)):
                st.rerun()
        said = shortfalls(runs, [shared_reader(run).history() for run in runs])
        st.caption(f"Lines: the mean over {len(runs)} seeds. Bands: ± one standard deviation over them. {said}")


# ---- results --------------------------------------------------------------------------------------------------------


def _outcome(group: SeedGroup) -> None:
    figures = {name: group.spread(f"{part}_accuracy") for name, part in (("Test", "test"), ("Validation", "val"))}
    if not figures["Validation"].values:
        return
    with st.container(horizontal=True):
        for name, found in figures.items():
            st.metric(f"{name} accuracy, {_seeds(found)}", found.text(percent=True), border=True, width=260)
    st.caption(spread_words(figures))
    show_table([_row(run) for run in group.counted], _COLUMNS, "Each seed by itself")
    ids = ",".join(run.id for run in group.counted)
    st.page_link(
        "pages/compare.py",
        label="Compare them with other runs",
        icon=":material/compare_arrows:",
        width="content",
        query_params={"runs": ids},
    )


def spread_words(figures: dict[str, Spread]) -> str:
    """What the figures behind ± are, and the intervals of the means, for the reader of a page."""
    intervals = [f"{name.lower()} {text} %" for name, found in figures.items() if (text := found.interval(True))]
    told = f" 95 % intervals of the means (Student's t): {', '.join(intervals)}." if intervals else ""
    return f"Mean ± standard deviation over the seeds that are finished: what chance alone does.{told}"


_COLUMNS = {
    "test": Column("{:.2f} %", "Accuracy on the test images, read once at the end"),
    "validation": Column("{:.2f} %", "Accuracy on the held-out images, of the weights that are kept"),
    "training": Column("{:.1f} s", "Time of training and validating"),
}


def _row(run: Run) -> dict[str, str | float | None]:
    folder = run.checkpoint()
    card = read_card(folder) if folder is not None else None
    measured = {name: card.metrics.get(f"{part}_accuracy") if card else None for name, part in _PARTS}
    return {
        "seed": f"{run.config().seed}",
        "state": run.status().state,
        **{name: None if value is None else 100 * value for name, value in measured.items()},
        "training": card.train_seconds if card is not None else None,
    }


_PARTS = (("test", "test"), ("validation", "val"))


def _seeds(found: Spread) -> str:
    return f"{len(found.values)} seed{'s' if len(found.values) != 1 else ''}"
