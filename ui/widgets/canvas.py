"""The drawing canvas, with Clear and Undo, and a drawing that survives a page switch."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st
from streamlit_drawable_canvas import st_canvas

SIDE = 280


def canvas() -> np.ndarray | None:
    """A 280×280 canvas, white on black → (280, 280, 4) uint8 after the first stroke, None while it is blank."""
    state = st.session_state.setdefault("drawing", {"version": 0, "start": {"objects": []}, "now": [], "pictures": {}})
    board, buttons, width = st.container(), st.container(horizontal=True), st.container(width=SIDE)
    brush = width.slider(
        "Brush width", 8, 40, 20, help="In pixels; the canvas has 280.", key="brush", persist_state="session"
    )
    with board:
        result = st_canvas(
            stroke_width=brush,
            stroke_color="#ffffff",
            background_color="#000000",
            height=SIDE,
            width=SIDE,
            drawing_mode="freedraw",
            initial_drawing=state["start"],
            return_image_data=True,
            key=f"canvas-{state['version']}",
        )
    objects = (result.json_data or {}).get("objects")
    if objects is not None:
        state["now"] = objects
    if result.image_data is not None:
        # kept for Undo and a page switch: a canvas that begins with strokes sends its picture only after the next one
        state["pictures"][len(state["now"])] = result.image_data
    with buttons:
        if st.button("Clear", icon=":material/delete:", disabled=not state["now"]):
            _restart([])
        if st.button("Undo", icon=":material/undo:", disabled=not state["now"], help="Takes the last stroke back"):
            _restart(state["now"][:-1])
    return state["pictures"].get(len(state["now"])) if state["now"] else None


def _restart(objects: list[dict[str, Any]]) -> None:
    _begin_with(objects)
    st.rerun(scope="fragment")


def _begin_with(objects: list[dict[str, Any]]) -> None:
    """A new canvas that begins with `objects`; the component takes a new start only under a new key."""
    state = st.session_state["drawing"]
    st.session_state["drawing"] = {
        **state,
        "version": state["version"] + 1,
        "start": {"objects": objects},
        "now": objects,
    }


def carry_over() -> None:
    """Restores the drawing after a page switch, which drops the canvas. Called once in each full run of the page."""
    state = st.session_state.get("drawing")
    if state and state["now"] != state["start"]["objects"] and f"canvas-{state['version']}" not in st.session_state:
        _begin_with(state["now"])
