"""The runs that are kept: owner, state and size, to pin and to delete."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from mnist_core.runs.limits import runs_to_delete
from mnist_core.runs.run import Run, list_runs
from mnist_core.runs.storage import MEGABYTE, size
from mnist_core.system.settings import limits
from ui import actions, page
from ui.labels import run_labels
from ui.panels.export import bring_bundle
from ui.widgets import confirm

Sizes = list[tuple[Run, int]]


@st.cache_data(show_spinner=False, max_entries=1000, ttl=10.0)
def _size(folder: str, changed: float) -> int:
    return size(Path(folder))


def sizes(runs: Sequence[Run]) -> Sizes:
    """`(run, bytes)` of each, cached for ten seconds."""
    return [(run, _size(str(run.folder), run.status().updated)) for run in runs]


def show_run_list() -> None:
    """The table, folded up; above it what to delete when the runs exceed MNIST_LAB_MAX_STORAGE. Raises ConfigError."""
    runs = list_runs()
    if not runs:
        with st.expander("Bring a run from another lab", icon=":material/move_to_inbox:"):
            bring_bundle()
        return
    taken = sizes(runs)
    _offer(taken)
    total = sum(each for _, each in taken) / MEGABYTE
    with st.expander(f"Runs kept here: {len(runs)}, {total:.1f} MB", icon=":material/inventory_2:"):
        _table(taken)
        bring_bundle()


def _offer(taken: Sizes) -> None:
    allowed = limits()
    total = sum(each for _, each in taken) / MEGABYTE
    if allowed.max_storage is None or total <= allowed.max_storage:
        return
    proposed = runs_to_delete(taken, allowed)
    with st.container(border=True):
        st.markdown(
            f"**The runs take {total:.1f} MB; this lab allows {allowed.max_storage} MB.** No new run can be started "
            "until some are deleted. Nothing is deleted by itself."
        )
        if not proposed:
            st.caption("All runs are pinned or active: unpin some that nobody needs below.")
            return
        names = run_labels([run for run, _ in proposed])
        st.markdown(
            "\n".join(f"- {page.escape_markdown(names[run.id])}: {each / MEGABYTE:.1f} MB" for run, each in proposed)
        )
        if st.button(f"Delete the oldest {len(proposed)}", icon=":material/delete:", key="offer-delete"):
            confirm.delete([run for run, _ in proposed])


@st.fragment
def _table(taken: Sizes) -> None:
    runs = [run for run, _ in taken]
    names = run_labels(runs)
    rows = [
        {
            "run": names[run.id],
            "owner": run.owner,
            "state": run.status().state,
            "MB": each / MEGABYTE,
            "pinned": run.pinned,
        }
        for run, each in taken
    ]
    # another key when the rows change: a selection is of places, and must not move to other runs
    place = zlib.crc32(" ".join(run.id for run in runs).encode())
    shown = st.dataframe(
        rows,
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        key=f"run-list-{place}",
        height=min(38 + 35 * len(rows), 388),
        column_config={"MB": st.column_config.NumberColumn(format="%.1f", help="1 MB is a million bytes")},
    )
    chosen = [runs[row] for row in shown["selection"]["rows"]]
    with page.errors_as_messages(), st.container(horizontal=True, vertical_alignment="center"):
        kept = bool(chosen) and all(run.pinned for run in chosen)
        if st.button("Unpin" if kept else "Pin", icon=":material/keep:", disabled=not chosen, key="run-list-pin"):
            for run in chosen:
                actions.pin(run, not kept)
            st.rerun()
        fixed = any(run.pinned or run.status().active for run in chosen)
        if st.button("Delete", icon=":material/delete:", disabled=fixed or not chosen, key="run-list-delete"):
            confirm.delete(chosen)
        st.caption(
            "A pinned run is kept until it is unpinned; an active one until it has ended."
            if fixed
            else "Choose rows to pin or to delete."
        )
