"""Runs to look at where nothing can be changed."""

from __future__ import annotations

import streamlit as st

from mnist_core.runs.run import list_runs
from ui import cache
from ui.labels import run_labels
from ui.live_run import show_run


def look() -> None:
    """A choice of runs, the active one first, and its curves. Raises LabError."""
    runs = sorted(list_runs(), key=lambda run: not run.status().active)
    st.info("This lab can be looked at, not changed: no training can be started here.", icon=":material/visibility:")
    if not runs:
        st.caption("There is no run yet.")
        return
    names = run_labels(runs)
    chosen = st.selectbox("Run", list(names), format_func=names.get, key="looked-at", persist_state="session")
    run = next(run for run in runs if run.id == chosen)
    show_run(run, [])
    cache.outcome(run)
