"""Labels for a drawing by one tap or key, and the drawing as pen strokes with their time.

`labels.js` listens to the pen on the page's canvas. What it has not seen, such as a drawing from before a page switch,
is taken from the canvas's own strokes, which have no time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from mnist_core.errors import LabError
from ui.widgets.canvas import SIDE, Drawing

HERE = Path(__file__).resolve().parent
_component = st.components.v2.component(
    "mnist_lab.labels",
    html='<div class="labels"></div>',
    css=(HERE / "labels.css").read_text(encoding="utf-8"),
    js=(HERE / "labels.js").read_text(encoding="utf-8"),
    isolate_styles=False,
)


@dataclass(frozen=True)
class Said:
    """What a person says a drawing is. `strokes` are lists of [x, y, ms] or [x, y] in px of the canvas; `count` is how
    many there were on the canvas of number `version`."""

    label: str
    strokes: list[Any]
    version: int
    count: int


def ask_label(
    drawing: Drawing,
    classes: Sequence[str],
    keep: Callable[[Said], None],
    *,
    key: str,
    asked: str | None = None,
    chosen: str = "",
    hint: str = "",
    words: str = "",
) -> None:
    """Buttons for the `classes`, of which `chosen` is marked, or the class that is `asked` for with a button Next.

    Shown once something is drawn; `hint` stands above, `words` below. `keep` is called with what is said before the
    page is run anew; an error of the lab that it raises is shown there as a sentence.
    """

    def heard() -> None:
        said = st.session_state[key].get("said")
        if not isinstance(said, dict) or said.get("version") != drawing.version or said.get("label") not in classes:
            return
        traces, count = said.get("traces"), said.get("strokes")
        strokes = traces if isinstance(traces, list) else canvas_strokes(drawing.objects)
        known = Said(str(said["label"]), strokes, drawing.version, count if isinstance(count, int) else drawing.strokes)
        try:
            keep(known)
        except LabError as error:
            st.session_state[f"{key}-error"] = str(error)

    data = {
        "classes": list(classes),
        "asked": asked,
        "chosen": chosen,
        "hint": hint,
        "words": words,
        "version": drawing.version,
        "strokes": drawing.strokes,
        "side": SIDE,
    }
    if error := st.session_state.pop(f"{key}-error", ""):
        st.error(error, icon=":material/error:")
    _component(key=key, data=data, height="content", on_said_change=heard)


def canvas_strokes(objects: Sequence[dict[str, Any]]) -> list[list[list[float]]]:
    """Fabric's paths as the canvas component reports them → strokes of [x, y] in px of the canvas; the points between
    which each path bends. An image, with which a drawing may begin, has none."""
    strokes = []
    for drawn in objects:
        path = drawn.get("path") if drawn.get("type", "").lower() == "path" else None
        points = [step[-2:] for step in path or [] if isinstance(step, list) and len(step) > 2]
        strokes.append([[float(x), float(y)] for x, y in points])
    return strokes
