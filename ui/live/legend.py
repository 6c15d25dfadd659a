"""The legend that several charts share: above them, where names of any length find room, on a phone too."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from mnist_core.figures.style import key


def legend(names: Sequence[str], explanation: str) -> None:
    """Each name behind its line's colour, dash and marker, in the order of their places."""
    entries = []
    for place, name in enumerate(names):
        colour, sample = key(place)
        entries.append(f'<span><span style="color:{colour}">{sample}</span> {escape(name)}</span>')
    st.html(f'<div style="display:flex;flex-wrap:wrap;gap:0.25rem 1.5rem">{"".join(entries)}</div>')
    st.caption(explanation)
