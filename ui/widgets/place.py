"""The place within a page: what is chosen on it stands in the address, so that a link leads there."""

from __future__ import annotations

import streamlit as st

LONGEST = 300  # characters of a parameter


def read_place(page: str, names: tuple[str, ...]) -> None:
    """Sets the session's `{page}-{name}` from the address where that is new. Called before the widgets are made.

    A link leaves out what is to be as at first; a visit without any parameter finds the page as it was left.
    """
    asked = st.query_params.to_dict()
    if not asked or asked == st.session_state.get(f"{page}-written"):
        return
    for name in names:
        if name in asked:
            st.session_state[f"{page}-{name}"] = asked[name][:LONGEST]
        else:
            st.session_state.pop(f"{page}-{name}", None)
    st.session_state[f"{page}-written"] = asked
    # a link to the page that is shown changes what the script gets, but not what the browser shows as its address
    st.session_state[f"{page}-followed"] = True


def write_place(page: str, **place: object) -> None:
    """Writes what is chosen into the address; None is left out."""
    said = {name: str(value) for name, value in place.items() if value is not None}
    if st.session_state.pop(f"{page}-followed", False) or st.query_params.to_dict() != said:
        st.query_params.from_dict(said)
    st.session_state[f"{page}-written"] = said


def number(key: str, limit: int, default: int = 0) -> int:
    """The session's number under `key`, brought into 0 to `limit` - 1, as an address or another layer may exceed it."""
    value = st.session_state.get(key)
    try:
        found = int(value) if value is not None else default
    except ValueError:
        found = default
    st.session_state[key] = min(max(found, 0), limit - 1)
    return int(st.session_state[key])
