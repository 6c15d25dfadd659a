"""Draw: sketch a digit, see what the model sees and says."""

import numpy as np
import streamlit as st

from mnist_core.drawing import MAX_BYTES, MAX_SIDE, read_picture
from mnist_core.figures import enlarge, probability_bars
from mnist_core.predict import Prediction, Predictor
from ui import canvas, house, page
from ui.live_chart import live_chart

page.begin("Draw", "✏️")


def ask() -> np.ndarray | None:
    """The picture to read: drawn or uploaded. Raises DrawingError."""
    source = st.segmented_control(
        "Picture", ["Draw", "Upload"], default="Draw", required=True, label_visibility="collapsed", key="source"
    )
    if source == "Draw":
        return canvas.canvas()
    upload = st.file_uploader(
        "A photo or a screenshot of one digit",
        type=["png", "jpg", "jpeg", "bmp", "gif", "webp"],
        help=f"On light or dark ground; at most {MAX_BYTES // 2**20} MB and {MAX_SIDE} px a side. It is not kept.",
    )
    if upload is None:
        return None
    pixels = read_picture(upload.getvalue())
    st.image(pixels, caption="Your picture", width=280)
    return pixels


def answer(predictor: Predictor, prediction: Prediction | None) -> None:
    """The digit in large, how sure the model is, and all its probabilities."""
    classes = predictor.card.classes
    if prediction is None or prediction.digit is None:
        st.markdown("## ✏️ Draw a digit")
        st.caption("With the mouse or a finger, as large as you like. The answer changes with every stroke.")
        live_chart(probability_bars(np.zeros(len(classes)), classes, None), key="probabilities", height=260)
        return
    digit = classes[prediction.digit]
    st.markdown(f"## {digit}" if prediction.is_digit else f"## {digit}?")
    if prediction.is_digit:
        st.caption(f"The model is {prediction.confidence:.1%} sure.")
    else:
        st.caption(
            f"Perhaps a {digit} ({prediction.confidence:.0%}), but the model is less sure than it is of 99 in 100 "
            "real digits. It may be no digit at all."
        )
    live_chart(probability_bars(prediction.probabilities, classes, prediction.digit), key="probabilities", height=260)


@st.fragment
def board(predictor: Predictor) -> None:
    """Canvas and answer; a stroke reruns only this."""
    drawing, reading = st.columns([1, 1.4], gap="large")
    prediction = None
    with drawing, page.sentences():
        pixels = ask()
        if pixels is not None:
            prediction = predictor.predict(pixels)
            if prediction.digit is None:
                st.info("There is nothing to read in this picture: no stroke stands out from its ground.")
    with reading, page.sentences():
        answer(predictor, prediction)
        if prediction is not None and prediction.model_input is not None:
            seen, words = st.columns([1, 1.6], vertical_alignment="center")
            seen.image(enlarge(prediction.model_input), width=196)
            words.caption(
                "**What the model sees**: 28×28 pixels, the digit 20 pixels long and its centre of mass in the middle, "
                "as in the pictures it learned from."
            )


canvas.carry_over()
with page.sentences():
    model = house.choose_model("Model")
    if model is not None:
        board(house.predictor(model))
