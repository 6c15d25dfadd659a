"""Questions before what cannot be undone: once about one's own runs, twice about somebody else's."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from mnist_core.runs.run import Run, list_runs
from ui import actions, page
from ui.labels import run_label
from ui.user import belongs_to_another, current_user

_ASKED = "asked"
# what is asked → (the word on its button, what it does, what becomes of the run)
_ACTS: dict[str, tuple[str, Callable[[Run], None], str]] = {
    "stop": ("Stop", actions.stop, "What it has learned so far is kept."),
    "delete": ("Delete", actions.delete, "Model, curves and settings are gone for good."),
}
_SHOWN = 6


def stop(runs: Sequence[Run]) -> None:
    """Stops the runs at once where all are this session's own, else after a question. Raises RunError."""
    if all(run.owner == current_user() for run in runs):
        for run in runs:
            actions.stop(run)
    else:
        _ask("stop", runs)


def delete(runs: Sequence[Run]) -> None:
    """Asks, then deletes."""
    _ask("delete", runs)


def _ask(act: str, runs: Sequence[Run]) -> None:
    # a dialog opened within a fragment that refreshes itself would close with its next refresh: the page opens it
    st.session_state[_ASKED] = act, [run.id for run in runs]
    st.rerun()


def show_confirmation() -> None:
    """The question that is open, if any; to be called once by the page, outside of fragments."""
    act, ids = st.session_state.get(_ASKED, ("", []))
    runs = [run for run in list_runs() if run.id in ids]
    if not runs:
        _close()  # somebody else has deleted them
    else:
        what = f"{len(runs)} runs" if len(runs) > 1 else "this run"
        st.dialog(f"{_ACTS[act][0]} {what}?", icon=":material/help:", on_dismiss=_close)(_question)(act, runs)


def _close() -> None:
    st.session_state.pop(_ASKED, None)


def _question(act: str, runs: Sequence[Run]) -> None:
    word, do, consequence = _ACTS[act]
    for run in runs[:_SHOWN]:
        st.markdown(f"- {page.escape_markdown(run_label(run))}")
    if len(runs) > _SHOWN:
        st.caption(f"And {len(runs) - _SHOWN} more.")
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
        left = st.button("Cancel", key="question-no")
    with page.errors_as_messages():
        if agreed:
            for run in runs:
                do(run)
        if agreed or left:
            _close()
            st.rerun()
