"""A person's drawings as small pictures, each of which can be removed (`drawings.js`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import streamlit as st

from mnist_core.data.collection import SIDE, Kept, counts
from mnist_core.data.splits import natural_sort_key
from mnist_core.errors import LabError

HERE = Path(__file__).resolve().parent
MOST = 300  # shown at once
POINTS = 60  # of a stroke: enough for a picture of 48 px
_component = st.components.v2.component(
    "mnist_lab.drawings",
    html='<div class="drawings"></div>',
    css=(HERE / "drawings.css").read_text(encoding="utf-8"),
    js=(HERE / "drawings.js").read_text(encoding="utf-8"),
    isolate_styles=False,
)


def show_drawings(drawings: Sequence[Kept], remove: Callable[[str], None], key: str) -> None:
    """The newest MOST of the drawings, a row for each label. `remove` is called with the id of one that shall go,
    before the page is run anew; an error of the lab that it raises is shown there as a sentence."""

    def heard() -> None:
        removed = st.session_state[key].get("removed")
        if any(drawing.id == removed for drawing in drawings):
            try:
                remove(removed)
            except LabError as error:
                st.session_state[f"{key}-error"] = str(error)

    shown = drawings[-MOST:]
    groups = []
    for label in sorted(counts(shown), key=natural_sort_key):
        of_label = [_picture(drawing) for drawing in shown if str(drawing.label) == label]
        groups.append({"label": label, "drawings": of_label})
    if error := st.session_state.pop(f"{key}-error", ""):
        st.error(error, icon=":material/error:")
    _component(key=key, data={"groups": groups, "side": SIDE}, height="content", on_removed_change=heard)


def _picture(drawing: Kept) -> dict[str, object]:
    strokes = [
        [[round(x), round(y)] for x, y, *_ in stroke[:: max(1, len(stroke) // POINTS)]] for stroke in drawing.strokes
    ]
    return {"id": drawing.id, "strokes": strokes, "test": drawing.test}
