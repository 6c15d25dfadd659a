"""Draw: sketch a digit, see what the model sees and says."""

import numpy as np
import streamlit as st

from mnist_core.data.dataset import DIGITS
from mnist_core.data.loading import DATASETS
from mnist_core.models.card import Card
from mnist_core.runs.catalogue import Model, predictor
from ui import page, warmup
from ui.labels import preparation_words
from ui.live.answer import live_answer
from ui.panels.break_it import break_it
from ui.panels.labelling import label_bar
from ui.visitors import mark_active
from ui.widgets import canvas
from ui.widgets.model import choose_model
from ui.widgets.photo import SOURCES, photo, show_photo
from ui.widgets.start_image import take_image

page.begin("Draw", "✏️")
MOST_NAMES = 12
ONE, NUMBER = "One digit", "A number"
PARTS = ("paper", "answer", "controls", "note", "label")  # placed by ui/widgets/canvas.css


def invitation(card: Card, source: str, wide: bool) -> list[str]:
    """What is said while there is nothing to read: a headline, and sentences."""
    classes, digits = card.classes, tuple(card.classes) == DIGITS
    if source == "Draw":
        headline = "Draw a number" if wide else "Draw a digit" if digits else "Draw"
        said = [headline, "With the mouse or a finger, as large as you like. The answer follows the pen."]
    else:
        said = ["Take a photo" if source == "Camera" else "Upload a photo"]
        if digits:
            said.append("Of a digit or a number, dark on light or light on dark. What lies around it should be empty.")
    if not digits:
        more = f" and {len(classes) - MOST_NAMES} more" if len(classes) > MOST_NAMES else ""
        said.append(f"It tells apart: {', '.join(classes[:MOST_NAMES])}{more}.")
    return said


def how_prepared(card: Card) -> str:
    """Sentences on what happens to a picture before this model reads it."""
    # images of these datasets were stored as drawings, or are photos: nothing is amiss
    known = card.preparation != "unrecorded" or card.dataset not in DATASETS
    kind = card.preparation if known else "drawing" if card.shape.channels == 1 else "whole"
    words = preparation_words(kind)
    if card.light_ground:
        words += " It learned from pictures on light ground, so it sees the drawing dark on light."
    return words


def layers(model: Model, image: np.ndarray | None, drawn: bool) -> None:
    """On request, every layer as it answers the model's input; of a drawing, a button opens one on Inside."""
    if not st.toggle("Show what every layer makes of it", key="draw-layers", persist_state="session"):
        return
    if image is None:
        st.caption("Draw something, and every layer of the network shows what it makes of it.")
        return
    with page.loading_torch():
        from ui import explained
        from ui.panels.layers import layer_strip

    opened = st.session_state.pop("draw-layer", None)  # by a button of the strip
    layer_strip(explained.layers(model, image), "", "draw-layer")
    if not drawn or "Inside" not in page.reachable():
        return
    if opened is not None:
        st.session_state.update({"inside-layer": opened, "inside-view": "layers", "inside-source": "Your drawing"})
        st.switch_page("pages/inside.py")
    st.page_link("pages/inside.py", label="Take it apart on Inside", icon=":material/visibility:")


@st.fragment
def board(model: Model) -> None:
    """Canvas and answer; a stroke reruns only this."""
    mark_active()
    card = model.card
    with st.container(key="draw"):
        paper, answers, controls, note, label = (st.container(key=f"draw-{part}") for part in PARTS)
    buttons = controls.container(horizontal=True, vertical_alignment="center", gap="small")
    grey, drawing, pixels, reading, place = card.shape.channels == 1, None, None, None, None
    source = buttons.segmented_control(
        "Picture",
        ["Draw", *SOURCES] if grey else SOURCES,
        default="Draw" if grey else SOURCES[0],
        required=True,
        label_visibility="collapsed",
        key="source" if grey else "source-photo",
    )
    wide = False
    if source == "Draw" and tuple(card.classes) == DIGITS and card.preparation != "whole":
        wide = (
            buttons.segmented_control(
                "Canvas",
                [ONE, NUMBER],
                default=ONE,
                required=True,
                label_visibility="collapsed",
                key="format",
                persist_state="session",
            )
            == NUMBER
        )
    with paper, page.errors_as_messages():
        if source == "Draw":
            drawing = canvas.canvas(
                buttons, controls, example=tuple(card.classes) == DIGITS, name=canvas.WIDE if wide else ""
            )
            pixels = drawing.pixels
        else:
            pixels, place = photo(source, grey)
    with answers, page.errors_as_messages():
        if pixels is not None:
            from mnist_core.inference.numbers import read_number  # imports ONNX Runtime

            reader = predictor(model)
            given = reader.from_canvas(pixels) if drawing else pixels
            reading = read_number(reader, given, one_expected=drawing is not None and not wide)
        live_answer(
            reading,
            card.classes,
            invitation=invitation(card, source, wide),
            model=model.id,
            drawing=drawing,
        )
    if place is not None and pixels is not None:
        show_photo(place, source, pixels, reading)
    if drawing is not None and not wide:
        with label, page.errors_as_messages():
            label_bar(drawing, card.classes)
    note.caption(f"**What the model sees**: {card.shape.height}×{card.shape.width} pixels. {how_prepared(card)}")
    with page.errors_as_messages():
        seen = None if reading is None else reading.prediction.model_input
        break_it(model, drawing, seen)
        layers(model, seen, drawing is not None)


canvas.carry_over()
canvas.carry_over(canvas.WIDE)
with page.errors_as_messages():
    chosen = choose_model("Model")
    if chosen is not None:
        with page.errors_as_messages():
            take_image(chosen)
        board(chosen)
warmup.page_sent()
