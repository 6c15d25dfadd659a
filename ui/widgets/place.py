"""The place within a page: what is chosen on it stands in the address, so that a link leads there."""

from __future__ import annotations

import streamlit as st


def read_place(page: str, names: tuple[str, ...]) -> None:
    """Sets the session's `{page}-{name}` from the address where that is new. Called before the widgets are made."""
    asked = {name: text for name, text in st.query_params.to_dict().items() if name in names}
    if asked and asked != st.session_state.get(f"{page}-written"):
        for name, text in asked.items():
            st.session_state[f"{page}-{name}"] = text[:100]
        st.session_state[f"{page}-written"] = asked


def write_place(page: str, **place: object) -> None:
    """Writes what is chosen into the address; None is left out."""
    said = {name: str(value) for name, value in place.items() if value is not None}
    if st.query_params.to_dict() != said:
        st.query_params.from_dict(said)
    st.session_state[f"{page}-written"] = {name: text for name, text in said.items() if name != "model"}


def number(key: str, limit: int, default: int = 0) -> int:
    """The session's number under `key`, brought into 0 to `limit` - 1, as an address or another layer may exceed it."""
    value = st.session_state.get(key)
    try:
        found = int(value) if value is not None else default
    except ValueError:
        found = default
    st.session_state[key] = min(max(found, 0), limit - 1)
    return int(st.session_state[key])
