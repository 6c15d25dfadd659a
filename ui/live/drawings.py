"""A person's drawings as small pictures, each of which can be removed (`drawings.js`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from mnist_core.data.collection import SIDE, Kept, counts
from mnist_core.data.splits import natural_sort_key

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


def show_drawings(drawings: Sequence[Kept], key: str) -> str | None:
    """The newest MOST of the drawings, a row for each label. → the id of one that shall be removed, else None."""
    shown = drawings[-MOST:]
    groups = []
    for label in sorted(counts(shown), key=natural_sort_key):
        of_label = [_picture(drawing) for drawing in shown if str(drawing.label) == label]
        groups.append({"label": label, "drawings": of_label})
    data = {"groups": groups, "side": SIDE}
    removed = _component(key=key, data=data, height="content", on_removed_change=lambda: None).get("removed")
    return removed if any(drawing.id == removed for drawing in drawings) else None


def _picture(drawing: Kept) -> dict[str, object]:
    strokes = [
        [[round(x), round(y)] for x, y, *_ in stroke[:: max(1, len(stroke) // POINTS)]] for stroke in drawing.strokes
    ]
    return {"id": drawing.id, "strokes": strokes, "test": drawing.test}
