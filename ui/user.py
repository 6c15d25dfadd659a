"""The user of a session: a name, kept while the browser's tab is open, and offered to later sessions."""

from __future__ import annotations

import streamlit as st

from mnist_core.errors import LabError
from mnist_core.runs.run import Run, list_runs, parse_owner
from ui.hidden import hidden

_KEY = "owner"


def current_user() -> str:
    """The name of this session's user; empty without a valid one."""
    try:
        return parse_owner(st.session_state.get(_KEY) or "")
    except LabError:
        return ""


def belongs_to_another(run: Run) -> bool:
    """Whether the run has an owner other than this session's user."""
    return run.owner not in ("", current_user())


def ask_user() -> None:
    """A box for the name, unless a link hides it. Raises ConfigError for an invalid one."""
    if hidden("name"):
        return
    known = sorted({current_user(), *(run.owner for run in list_runs())} - {""})
    typed = st.selectbox(
        "Your name",
        known,
        index=None,
        accept_new_options=True,
        placeholder="optional",
        help="It stands beside your runs. Others are asked twice before they stop or delete a run of yours; "
        "it is a courtesy, not a lock.",
        key=_KEY,
        persist_state="session",
    )
    parse_owner(typed or "")
