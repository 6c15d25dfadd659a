"""Parts of a page that are folded up: what they hold is made and sent when somebody opens them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import streamlit as st


@contextlib.contextmanager
def fold(label: str, key: str, icon: str) -> Iterator[bool]:
    """An expander to fill where this is true: it is open. A browser takes 20 ms for a widget that nobody sees."""
    expander = st.expander(label, key=key, icon=icon, on_change="rerun")
    with expander:
        yield bool(expander.open)
