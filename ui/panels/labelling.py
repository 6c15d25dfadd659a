"""What a person says of their drawings: kept on the Draw page after any answer, asked for on the Teach page's board."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from mnist_core.data.collection import Kept, counts, next_label
from mnist_core.errors import LabError
from ui import actions, page
from ui.live.labels import Said, ask_label
from ui.user import current_user
from ui.widgets import canvas
from ui.widgets.canvas import Drawing

ROUND = 5  # drawings of each class that the board asks for
BOARD = "teach"  # its canvas, beside that of the Draw page
_KEPT = "kept-drawing"  # of the session: what the drawing on Draw's canvas was kept as


def whose() -> str:
    """Whose collection this session adds to, in words."""
    name = current_user()
    return f"under the name {name}" if name else "without a name"


def label_bar(drawing: Drawing, classes: Sequence[str]) -> None:
    """Under an answer: "that was a 7" by one tap or key, which keeps the drawing; the same tap again takes it back.

    Nothing where the lab's mode keeps nothing, or the drawing began with an image. Raises LabError.
    """
    if not actions.changeable() or any(drawn.get("type", "").lower() == "image" for drawn in drawing.objects):
        return
    kept = st.session_state.get(_KEPT)
    if kept and (kept["version"] != drawing.version or kept["count"] < drawing.strokes):
        kept = st.session_state.pop(_KEPT) and None  # another drawing
    words = f"Kept as {kept['label']} {whose()}: {kept['total']} so far." if kept else ""
    ask_label(
        drawing,
        classes,
        _keep,
        key="labels",
        chosen=kept["label"] if kept else "",
        hint="What was it? Tap it, or press its key, and the lab can learn your hand.",
        words=words,
    )
    if kept and "Teach" in page.reachable():
        st.page_link("pages/teach.py", label="Teach a model with your drawings", icon=":material/school:")


def _keep(said: Said) -> None:
    kept = st.session_state.get(_KEPT)
    if kept and kept["label"] == said.label:
        actions.remove_drawing(kept["id"])
        del st.session_state[_KEPT]
        return
    drawing, total = actions.keep_drawing(said.label, said.strokes, instead_of=kept["id"] if kept else "")
    st.session_state[_KEPT] = {
        "id": drawing.id,
        "label": said.label,
        "version": said.version,
        "count": said.count,
        "total": total,
    }


def _keep_and_clear(said: Said) -> None:
    actions.keep_drawing(said.label, said.strokes)
    canvas.clear(BOARD)


def board(classes: Sequence[str], drawings: Sequence[Kept]) -> None:
    """A canvas that asks for each class ROUND times in mixed order. A drawing reruns the page's fragment around it."""
    goal = st.session_state.setdefault("teach-goal", ROUND)
    have = counts(drawings)
    missing = sum(max(0, goal - have[name]) for name in classes)
    if not missing:
        st.success(f"There are {goal} or more of each.", icon=":material/check:")
        if st.button(f"Draw {ROUND} more of each", icon=":material/add:"):
            st.session_state["teach-goal"] = min(have[name] for name in classes) + ROUND
            st.rerun()
        return
    asking, paper = st.columns([2, 3], gap="large")  # on a phone, what is asked for stands above the canvas
    with paper:
        place, controls = st.container(), st.container(width=480)
        buttons = controls.container(horizontal=True, vertical_alignment="center", gap="small")
        with place:
            drawing = canvas.canvas(buttons, controls, name=BOARD)
    with asking:
        total = goal * len(classes)
        ask_label(
            drawing,
            classes,
            _keep_and_clear,
            key="teach-labels",
            asked=next_label(classes, have, goal, len(drawings)),
            hint="Draw, as you always write it, a",
            words=f"{total - missing} of {total} drawn, kept {whose()}.",
        )


def collected() -> list[Kept]:
    """This session's person's drawings; none, and a sentence, where the file is damaged."""
    try:
        return actions.drawings()
    except LabError as error:
        st.error(str(error), icon=":material/error:")
        return []
