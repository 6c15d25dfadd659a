"""Confirmation of what cannot be undone: once for one's own runs, twice for those of others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from mnist_core.runs.labels import run_label
from mnist_core.runs.run import Run, list_runs
from ui import actions, page
from ui.user import belongs_to_another, current_user

_ASKED = "asked"
# name → (the label of its button, the action, its consequence)
_ACTIONS: dict[str, tuple[str, Callable[[Run], None], str]] = {
    "stop": ("Stop", actions.stop, "What it has learned so far is kept."),
    "delete": ("Delete", actions.delete, "Model, curves and settings are gone for good."),
}
_MAX_LISTED = 6


def stop(runs: Sequence[Run]) -> None:
    """Stops the runs: at once where all belong to this session's user, else after a question. Raises RunError."""
    if all(run.owner == current_user() for run in runs):
        for run in runs:
            actions.stop(run)
    else:
        _ask("stop", runs)


def delete(runs: Sequence[Run]) -> None:
    """Deletes the runs after a question."""
    _ask("delete", runs)


def _ask(action: str, runs: Sequence[Run]) -> None:
    # a dialog opened by a fragment that refreshes itself closes with its next refresh, so the page opens it
    st.session_state[_ASKED] = action, [run.id for run in runs]
    st.rerun()


def show_confirmation() -> None:
    """Shows the open question, if any. Called once by a page, outside of fragments."""
    action, ids = st.session_state.get(_ASKED, ("", []))
    runs = [run for run in list_runs() if run.id in ids]
    if not runs:
        _close()  # they have been deleted meanwhile
    else:
        what = f"{len(runs)} runs" if len(runs) > 1 else "this run"
        st.dialog(f"{_ACTIONS[action][0]} {what}?", icon=":material/help:", on_dismiss=_close)(_question)(action, runs)


def _close() -> None:
    st.session_state.pop(_ASKED, None)


def _question(action: str, runs: Sequence[Run]) -> None:
    word, do, consequence = _ACTIONS[action]
    for run in runs[:_MAX_LISTED]:
        st.markdown(f"- {page.escape_markdown(run_label(run))}")
    if len(runs) > _MAX_LISTED:
        st.caption(f"And {len(runs) - _MAX_LISTED} more.")
    st.caption(consequence)
    sure = True
    others = sorted({run.owner for run in runs if belongs_to_another(run)})
    if others:
        whose = page.escape_markdown(", ".join(others))
        st.warning(
            f"Not yours: it belongs to **{whose}**."
            if len(runs) == 1
            else f"Not all are yours: some belong to **{whose}**."
        )
        sure = st.checkbox(f"Yes, {word.lower()} what belongs to {whose}")
    with st.container(horizontal=True):
        agreed = st.button(word, type="primary", disabled=not sure, key="question-yes")
        cancelled = st.button("Cancel", key="question-no")
    with page.errors_as_messages():
        if agreed:
            for run in runs:
                do(run)
        if agreed or cancelled:
            _close()
            st.rerun()
