"""The place within a page: what is chosen on it stands in the address, so that a link leads there."""

from __future__ import annotations

import streamlit as st

from ui import address

LONGEST = 300  # characters of a parameter


def read_place(page: str, names: tuple[str, ...]) -> None:
    """Sets the session's `{page}-{name}` from the address where that is new. Called before the widgets are made.

    A link leaves out what is to be as at first; a visit without any parameter finds the page as it was left.
    """
    asked = address.own()
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
    address.write(said, anew=st.session_state.pop(f"{page}-followed", False))
    st.session_state[f"{page}-written"] = said


def write_part(page: str, keep: tuple[str, ...], **part: object) -> None:
    """Writes a part of the place; of what stands in the address, what `keep` names stays."""
    there = address.own()
    write_place(page, **{name: there.get(name) for name in keep if name not in part}, **part)


def number(key: str, limit: int, default: int = 0) -> int:
    """The session's number under `key`, brought into 0 to `limit` - 1, as an address or another layer may exceed it."""
    value = st.session_state.get(key)
    try:
        found = int(value) if value is not None else default
    except ValueError:
        found = default
    st.session_state[key] = min(max(found, 0), limit - 1)
    return int(st.session_state[key])
