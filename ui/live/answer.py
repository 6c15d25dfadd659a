"""The answer to a picture: digit, bars and the model's input, which move while the pen is down.

`answer.js` owns the whole answer. After a stroke it shows what Streamlit sends; during one it sends the canvas's
picture to the lab's own route and shows what comes back, which the same code has computed. Without that route the
answer changes with every stroke.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import streamlit as st

if TYPE_CHECKING:
    from mnist_core.inference.numbers import Reading
    from ui.widgets.canvas import Drawing

HERE = Path(__file__).resolve().parent
REJECTIONS = {  # headline, why, what to try; {} is the digit that it resembles most
    "blank": (
        "Nothing to read",
        "No stroke stands out from the ground of this picture.",
        "Draw or choose a picture with more contrast.",
    ),
    "several": (
        "Several?",
        "There seem to be several digits, and not each of them is clear. As one digit, it would be a {}.",
        "Draw each of them clearly, or one alone. As a number, on the wide canvas, they have more room.",
    ),
    "filled": (
        "Only its lines, please",
        "This looks more like a filled shape than like strokes of a pen. As a digit, it would be a {}.",
        "Press Clear and draw the lines alone, or with a thinner brush.",
    ),
    "unsure": (
        "{}?",
        "Perhaps a {}, but the model is less sure than it is of 99 in 100 real digits. It may be no digit at all.",
        "If it is one, draw it larger, and with all its strokes. The bars show what the model hesitates between.",
    ),
}
_component = st.components.v2.component(
    "mnist_lab.answer",
    html='<div class="answer"></div>',
    css=(HERE / "answer.css").read_text(encoding="utf-8"),
    js=(HERE / "answer.js").read_text(encoding="utf-8"),
    isolate_styles=False,  # it marks the canvas's paper as drawn on, which stands outside
)


def live_answer(
    reading: Reading | None,
    classes: Sequence[str],
    *,
    invitation: Sequence[str],
    model: str = "",
    drawing: Drawing | None = None,
) -> None:
    """Shows `reading`, or the `invitation` (a headline and sentences) where there is none.

    With a `drawing` the answer follows the pen, as
    the model of the id `model` reads it: as it is, or `inverted`.
    """
    data = {
        "classes": list(classes),
        "answer": None if reading is None else as_json(reading),
        "invitation": list(invitation),
        "rejections": REJECTIONS,
        "route": _route(model, drawing.wide) if drawing else None,
        "version": drawing.version if drawing else -1,
        "strokes": drawing.strokes if drawing else 0,
    }
    _component(key="answer", data=data, height="content")


def _route(model: str, wide: bool) -> str:
    """Where pictures of a drawing go: with `number=1` they are read as numbers while the pen is down, too."""
    return f"api/predict?canvas=1&input=1&model={quote(model, safe='')}{'&number=1' if wide else ''}"


def as_json(reading: Reading) -> dict[str, Any]:
    """As `POST /api/predict?input=1` gives it, but for the model's name."""
    seen = reading.prediction.model_input
    return {**reading.record(), "input": None if seen is None else seen.tolist()}
