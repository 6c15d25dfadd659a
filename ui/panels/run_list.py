"""The runs that are kept: owner, state and size, to pin and to delete."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from mnist_core.experiments.seeds import SeedGroup, seed_groups, seed_of
from mnist_core.runs.limits import runs_to_delete
from mnist_core.runs.run import Run, list_runs
from mnist_core.runs.storage import MEGABYTE, size
from mnist_core.system.settings import limits
from ui import actions, page
from ui.labels import compare_link, run_labels
from ui.panels.export import bring_bundle
from ui.widgets import confirm
from ui.widgets.fold import fold

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
        with fold("Bring a run from another lab", "bring", ":material/move_to_inbox:") as is_open:
            if is_open:
                bring_bundle()
        return
    taken = sizes(runs)
    _offer(taken)
    total = sum(each for _, each in taken) / MEGABYTE
    label = f"Runs kept here: {len(runs)}, {total:.1f} MB"
    with fold(label, "runs-kept", ":material/inventory_2:") as is_open:
        if is_open:
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


def _row(group: SeedGroup, names: Mapping[str, str], taken: int) -> dict[str, Any]:
    found = group.spread("test_accuracy")
    return {
        "run": names[group.runs[0].id],
        "seeds": group.seeds_text,
        "test": found.text(percent=True) if found.values else None,
        "95 %": found.interval(percent=True) or None,
        "owner": ", ".join(dict.fromkeys(run.owner for run in group.runs if run.owner)),
        "state": group.states,
        "MB": taken / MEGABYTE,
        "pinned": all(run.pinned for run in group.runs),
        "curves": compare_link(group.counted),
    }


@st.fragment
def _table(taken: Sizes) -> None:
    runs = [run for run, _ in taken]
    groups = seed_groups(runs)
    if any(group.several for group in groups) and not st.toggle(
        "Group seeds",
        True,
        key="run-list-groups",
        persist_state="session",
        help="Runs that differ by their seed alone stand in one row. Switch it off to open the rows.",
    ):
        groups = [SeedGroup((run,), (run,), (seed_of(run),)) for run in runs]
    names, bytes_of = run_labels(runs), {run.id: each for run, each in taken}
    rows = [_row(group, names, sum(bytes_of[run.id] for run in group.runs)) for group in groups]
    # another key when the rows change: a selection is of places, and must not move to other runs
    place = zlib.crc32("|".join(" ".join(run.id for run in group.runs) for group in groups).encode())
    shown = st.dataframe(
        rows,
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        key=f"run-list-{place}",
        height=min(38 + 35 * len(rows), 388),
        placeholder="–",
        column_config={
            "MB": st.column_config.NumberColumn(format="%.1f", help="1 MB is a million bytes"),
            "test": st.column_config.TextColumn(
                help="Accuracy on the test images, read once at the end; of several seeds mean ± standard deviation"
            ),
            "95 %": st.column_config.TextColumn(
                help="In percent: the interval of the mean over the seeds (Student's t). One seed has none"
            ),
            "curves": st.column_config.LinkColumn(display_text="compare", help="Opens them on Compare"),
        },
    )
    chosen = [run for row in shown["selection"]["rows"] for run in groups[row].runs]
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
