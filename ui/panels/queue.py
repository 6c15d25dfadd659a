"""The queue: which runs wait, in which order, and a button to cancel each."""

from __future__ import annotations

import streamlit as st

from mnist_core.runs.labels import run_label
from mnist_core.runs.queue import Queue
from mnist_core.system.settings import runs_folder
from ui import page
from ui.widgets import confirm

REFRESH_SECONDS = 2.0
SHOWN = 10


def show_queue() -> None:
    """The queue, refreshed while a run waits; nothing while none does."""
    if Queue(runs_folder()).waiting():
        st.fragment(_waiting, run_every=REFRESH_SECONDS)()


def _waiting() -> None:
    with page.errors_as_messages():
        queue = Queue(runs_folder())
        runs = queue.waiting()
        if not runs:
            st.rerun()
        st.markdown(f"**Waiting: {len(runs)}**")
        for place, run in enumerate(runs[:SHOWN], start=1):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(f"{place}. {page.escape_markdown(run_label(run))}", width="stretch")
                if st.button("Cancel", key=f"cancel-{run.id}", icon=":material/close:"):
                    confirm.stop([run])
                    st.rerun()
        if len(runs) > SHOWN:
            st.caption(f"And {len(runs) - SHOWN} more.")
