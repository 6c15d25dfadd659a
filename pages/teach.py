"""Teach: draw each digit a few times, and a model learns your hand in a minute."""

import streamlit as st

from mnist_core.runs.catalogue import Model
from ui import actions, page, warmup
from ui.panels.labelling import board, collected
from ui.panels.teaching import collection, latest_teaching, show_teaching, teach_button
from ui.user import ask_user
from ui.visitors import mark_active
from ui.widgets import canvas
from ui.widgets.confirm import show_confirmation
from ui.widgets.model import choose_model

page.begin("Teach", "🎓")
if not actions.changeable():
    st.info(
        "This lab is read-only (MNIST_LAB_MODE): drawings are not kept, and nothing can be taught.",
        icon=":material/visibility:",
    )
    st.stop()


@st.fragment
def draw_and_teach(model: Model) -> None:
    """Board, collection and the button; a drawing reruns only this."""
    mark_active()
    drawings = collected()
    with page.errors_as_messages():
        board(model.card.classes, drawings)
    st.subheader("Your drawings", anchor=False)
    with page.errors_as_messages():
        collection(drawings)
    with page.errors_as_messages():
        teach_button(model, drawings)


canvas.carry_over("teach")
st.markdown(
    "Draw each digit five times, and the lab makes a model that has learned your hand. Drawings that you label on Draw "
    "count too."
)
with page.errors_as_messages():
    chosen_side, name_side = st.columns([3, 1], vertical_alignment="bottom")
    with name_side, page.errors_as_messages():
        ask_user()
    with chosen_side:
        chosen = choose_model("Model to teach")
    if chosen is not None:
        shape = chosen.card.shape
        if (shape.channels, shape.height, shape.width) != (1, 28, 28) or chosen.card.preparation == "whole":
            st.info("This model does not read drawings. Choose one that does.", icon=":material/info:")
        else:
            draw_and_teach(chosen)
            run = latest_teaching(str(actions.drawings_path()))
            if run is not None:
                st.subheader("What teaching changed", anchor=False)
                show_teaching(run)
show_confirmation()
warmup.page_sent(actions.warm)
