"""Whose session this is: a name typed once, kept while the browser's tab is open, and offered to later ones."""

from __future__ import annotations

import streamlit as st

from mnist_core.errors import LabError
from mnist_core.runs.run import Run, list_runs, parse_owner

_KEY = "owner"


def current_user() -> str:
    """This session's name; empty while none, or none that can be one, was given."""
    try:
        return parse_owner(st.session_state.get(_KEY) or "")
    except LabError:
        return ""


def belongs_to_another(run: Run) -> bool:
    """Whether the run has an owner, who is not this session's."""
    return run.owner not in ("", current_user())


def ask_user() -> None:
    """A box for the name. Raises ConfigError when what was typed cannot be one."""
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
