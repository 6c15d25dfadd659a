"""The drawing canvas, with Clear and Undo, and a drawing that survives a page switch."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
from streamlit_drawable_canvas import st_canvas

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

SIDE = 560
WIDE, WIDE_SIZE = "wide", (1120, 448)
"""Pixels, of the square and of the wide canvas. How large a page shows them is for canvas.css, so that no prediction
depends on a screen."""
UNIT = SIDE / 280  # of the brush, whose widths are those of a canvas of 280 px
STYLE = f"<style>{(Path(__file__).resolve().parent / 'canvas.css').read_text(encoding='utf-8')}</style>"
EXAMPLE = "<style>.st-key-paper { --example: block; }</style>"


@dataclass(frozen=True, eq=False)
class Drawing:
    """`pixels` (560, 560) uint8, light on black, None while it is blank; `strokes` on the canvas number `version`, and
    the `objects` that they are to Fabric.js.

    A wide canvas, for numbers, has (448, 1120) pixels.

    A drawing that began with an image has that image's pixels until the next stroke.
    """

    pixels: np.ndarray | None
    strokes: int
    version: int
    wide: bool = False
    objects: Sequence[dict[str, Any]] = ()


def canvas(buttons: DeltaGenerator, controls: DeltaGenerator, example: bool = False, name: str = "") -> Drawing:
    """A canvas, as wide as its place and at most 480 px, with `buttons`, and the brush in `controls`.

    With `example` a blank canvas shows a faint digit, which `live_answer` takes away with the first stroke. Another
    `name` is another canvas, with a drawing of its own; the one called WIDE is wide, the others are square.
    """
    state = st.session_state.setdefault(
        _state(name), {"version": 0, "start": {"objects": []}, "now": [], "pictures": {}}
    )
    wide = name == WIDE
    width, height = WIDE_SIZE if wide else (SIDE, SIDE)
    brush = controls.slider(
        "Brush width", 8, 40, 20, help="The canvas is 280 wide.", key="brush", persist_state="session"
    )
    st.html(STYLE)
    with st.container(key="paper-wide" if wide else "paper"):
        result = st_canvas(
            stroke_width=round(brush * UNIT),
            stroke_color="#ffffff",
            background_color="#000000",
            height=height,
            width=width,
            drawing_mode="freedraw",
            initial_drawing=state["start"],
            return_image_data=True,
            key=_key(name, state),
        )
    objects = (result.json_data or {}).get("objects")
    if objects is not None:
        state["now"] = objects
    if (pixels := result.image_data) is not None:
        # kept for Undo and a page switch: a canvas that begins with strokes sends its picture only after the next one
        state["pictures"][len(state["now"])] = pixels[..., 0].copy() if pixels.ndim == 3 else pixels
    drawn = bool(state["now"])
    if example and not drawn and not wide:
        st.html(EXAMPLE)
    with buttons:
        if st.button("Clear", icon=":material/delete:", disabled=not drawn, help="Keys: Esc, c", key="clear"):
            _restart([], name)
        if st.button("Undo", icon=":material/undo:", disabled=not drawn, shortcut="Ctrl+Z", key="undo"):
            _restart(state["now"][:-1], name)
    return Drawing(drawn_pixels(name), len(state["now"]), state["version"], wide, tuple(state["now"]))


def drawn_pixels(name: str = "") -> np.ndarray | None:
    """The drawing that the session has on the canvas called `name`, as `Drawing.pixels`, on whichever page it is."""
    state = st.session_state.get(_state(name))
    pixels: np.ndarray | None = state["pictures"].get(len(state["now"])) if state and state["now"] else None
    return pixels


def _state(name: str) -> str:
    """Where a session keeps the drawing of the canvas called `name`."""
    return f"drawing-{name}" if name else "drawing"


def _key(name: str, state: dict[str, Any]) -> str:
    """The key of the component itself; canvas.css knows how it begins."""
    return f"canvas-{name}-{state['version']}" if name else f"canvas-{state['version']}"


def _restart(objects: list[dict[str, Any]], name: str) -> None:
    _begin_with(objects, name)
    st.rerun(scope="fragment")


def kept_pixels(name: str = "") -> np.ndarray | None:
    """The pixels of the session's drawing on the canvas called `name`, as `Drawing` has them, on any page."""
    state = st.session_state.get(_state(name))
    found: np.ndarray | None = state["pictures"].get(len(state["now"])) if state and state["now"] else None
    return found


def clear(name: str) -> None:
    """The canvas called `name` is blank in the next run."""
    _begin_with([], name)


def _begin_with(objects: list[dict[str, Any]], name: str = "") -> None:
    """A new canvas that begins with `objects`; the component takes a new start only under a new key."""
    state = st.session_state.get(_state(name)) or {"version": -1, "pictures": {}}
    st.session_state[_state(name)] = {
        **state,
        "version": state["version"] + 1,
        "start": {"objects": objects},
        "now": objects,
    }


def begin_with_image(image: np.ndarray) -> None:
    """The next canvas begins with an (H, W) uint8 image, light on dark, in place of its first stroke.

    Called before `canvas`, in a run of the whole page.
    """
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image).save(file, format="PNG")
    height, width = image.shape
    picture = {
        "type": "Image",
        "src": "data:image/png;base64," + base64.b64encode(file.getvalue()).decode(),
        "originX": "left",
        "originY": "top",
        "left": 0,
        "top": 0,
        "width": width,
        "height": height,
        "scaleX": SIDE / width,
        "scaleY": SIDE / height,
    }
    _begin_with([picture])
    st.session_state["drawing"]["pictures"] = {1: image}


def carry_over(name: str = "") -> None:
    """Restores the drawing after a page switch, which drops the canvas. Called once in each full run of the page."""
    state = st.session_state.get(_state(name))
    if state and state["now"] != state["start"]["objects"] and _key(name, state) not in st.session_state:
        _begin_with(state["now"], name)
