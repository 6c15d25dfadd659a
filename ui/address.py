"""The address of a page: what is chosen on it, and what goes along from page to page, as a lesson does.

A page's own parameters are written whole, as what is left out of a link is to be as at first. Those in ALONG stay in
every address of the session, so that reloading a page or passing its link on keeps them.
"""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

ALONG = ("lesson", "lesson_step", "hide")
LONGEST = 500  # characters of a parameter
_KEY = "address-along"


def along() -> dict[str, str]:
    """The parameters in ALONG that this session has."""
    return dict(st.session_state.get(_KEY, {}))


def take_along(**values: str | None) -> None:
    """Sets some of the parameters in ALONG; None or "" removes one."""
    kept = {**along(), **values}
    st.session_state[_KEY] = {name: value for name, value in kept.items() if value}


def begin() -> None:
    """Takes the parameters in ALONG from the address, and puts those of the session there. A page's first call."""
    asked = st.query_params.to_dict()
    found: dict[str, str | None] = {name: asked[name][:LONGEST] for name in ALONG if name in asked}
    if found.get("lesson", along().get("lesson")) != along().get("lesson"):
        found.setdefault("lesson_step", None)  # another lesson, from its beginning
    take_along(**found)
    write(own())


def own() -> dict[str, str]:
    """The page's own parameters in the address."""
    return {name: value for name, value in st.query_params.to_dict().items() if name not in ALONG}


def write(said: Mapping[str, str], anew: bool = False) -> None:
    """Has the address hold these of the page's own, beside those that go along; `anew` even where it does already."""
    wanted = {**said, **along()}
    if anew or st.query_params.to_dict() != wanted:
        st.query_params.from_dict(wanted)
