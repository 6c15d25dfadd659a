"""Draw: sketch a digit, see what the model sees and says."""

import numpy as np
import streamlit as st

from mnist_core.data.dataset import DIGITS
from mnist_core.data.loading import DATASETS
from mnist_core.drawing.images import MAX_BYTES, MAX_PIXELS, read_picture
from mnist_core.figures.classification import probability_bars
from mnist_core.figures.images import enlarge
from mnist_core.inference.predictor import Prediction, Predictor
from mnist_core.models.card import Card
from mnist_core.runs.catalogue import predictor
from ui import page
from ui.labels import preparation_words
from ui.live.chart import live_chart
from ui.visitors import mark_active
from ui.widgets import canvas
from ui.widgets.model import choose_model

page.begin("Draw", "✏️")
MOST_NAMES = 12
REJECTIONS = {  # headline, why, what to try; {} is the digit that it resembles most
    "several": (
        "One digit at a time",
        "There seem to be several side by side. As one digit, it would be a {}.",
        "Press Clear and draw only one of them.",
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


def ask(card: Card) -> np.ndarray | None:
    """The picture to read: drawn or uploaded. Raises DrawingError."""
    if card.shape.channels == 1:
        source = st.segmented_control(
            "Picture", ["Draw", "Upload"], default="Draw", required=True, label_visibility="collapsed", key="source"
        )
        if source == "Draw":
            drawn = canvas.canvas()
            if drawn is None or not light_ground(card):
                return drawn
            st.caption("The model learned from pictures on light ground, so it sees the drawing dark on light.")
            return 255 - drawn[..., :3]
    else:
        st.caption("This model learned from colour pictures. A pen of one colour says nothing to it: give it a photo.")
    upload = st.file_uploader(
        "A photo or a screenshot of one digit" if card.shape.channels == 1 else "A photo",
        type=["png", "jpg", "jpeg", "jfif", "bmp", "gif", "webp", "tif", "tiff"],
        help=f"On light or dark ground; at most {MAX_BYTES // 2**20} MB and {MAX_PIXELS // 10**6} megapixels. "
        "It is not kept.",
    )
    if upload is None:
        return None
    pixels = read_picture(upload.getvalue())
    st.image(pixels, caption="Your picture", width=280)
    return pixels


def light_ground(card: Card) -> bool:
    """Whether the model reads pictures as a whole, and learned from light ones."""
    return card.preparation == "whole" and float(np.mean(card.mean)) > 0.5


def answer(predictor: Predictor, prediction: Prediction | None) -> None:
    """The digit in large, how sure the model is, and all its probabilities."""
    classes = predictor.card.classes
    if prediction is None or prediction.digit is None:
        if predictor.card.shape.channels == 1:
            st.markdown("## :material/draw: Draw a digit" if tuple(classes) == DIGITS else "## :material/draw: Draw")
            st.caption("With the mouse or a finger, as large as you like. The answer changes with every stroke.")
        else:
            st.markdown("## :material/photo_camera: Upload a photo")
        if tuple(classes) != DIGITS:
            more = f" and {len(classes) - MOST_NAMES} more" if len(classes) > MOST_NAMES else ""
            st.caption(f"It tells apart: {page.escape_markdown(', '.join(classes[:MOST_NAMES]))}{more}.")
        live_chart(probability_bars(np.zeros(len(classes)), classes, None), key="probabilities", height=260)
        return
    digit = page.escape_markdown(classes[prediction.digit])
    if prediction.rejection is None:
        st.markdown(f"## {digit}")
        st.caption(f"The model is {prediction.confidence:.1%} sure.")
    else:
        headline, why, advice = REJECTIONS[prediction.rejection]
        st.markdown(f"## {headline.format(digit)}")
        st.caption(why.format(f"{digit} ({prediction.confidence:.0%})"))
        st.caption(f":material/lightbulb: {advice}")
    live_chart(probability_bars(prediction.probabilities, classes, prediction.digit), key="probabilities", height=260)


def how_prepared(card: Card) -> str:
    """A sentence on what happens to a picture before this model reads it."""
    if card.preparation == "unrecorded" and card.dataset in DATASETS:
        # the images of these were stored as drawings, or are photos: nothing is amiss
        return preparation_words("drawing" if card.shape.channels == 1 else "whole")
    return preparation_words(card.preparation)


@st.fragment
def board(predictor: Predictor) -> None:
    """Canvas and answer; a stroke reruns only this."""
    mark_active()
    drawing, reading = st.columns([1, 1.4], gap="large")
    prediction = None
    with drawing, page.errors_as_messages():
        pixels = ask(predictor.card)
        if pixels is not None:
            prediction = predictor.predict(pixels)
            if prediction.digit is None:
                st.info("There is nothing to read in this picture: no stroke stands out from its ground.")
    with reading, page.errors_as_messages():
        answer(predictor, prediction)
        if prediction is not None and prediction.model_input is not None:
            seen, words = st.columns([1, 1.6], vertical_alignment="center")
            seen.image(enlarge(prediction.model_input), width=196)
            height, width, *_ = prediction.model_input.shape
            words.caption(f"**What the model sees**: {height}×{width} pixels.  \n{how_prepared(predictor.card)}")


canvas.carry_over()
with page.errors_as_messages():
    model = choose_model("Model")
    if model is not None:
        board(predictor(model))
