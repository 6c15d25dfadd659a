"""The part of the Results page that asks: when the model says 90 % sure, is it right nine times in ten?"""

from __future__ import annotations

import streamlit as st

from mnist_core.data.dataset import Dataset
from mnist_core.figures.calibration import reliability_figure
from mnist_core.inference.calibration import BINS, confidence_at, reliability
from mnist_core.inference.metrics import Evaluation
from mnist_core.runs.catalogue import Model, predictor


@st.cache_data(show_spinner=False, max_entries=16)
def _refused(_model: Model, _data: Dataset, _result: Evaluation, card: str, data_sha256: str) -> int:
    rejections = predictor(_model).rejections(_data.test_images, _result.probabilities)
    return sum(rejection is not None for rejection in rejections)


def calibration(model: Model, data: Dataset, result: Evaluation) -> None:
    """The reliability diagram, its error before and after the temperature, and how many test images are refused."""
    st.subheader("Can its confidence be believed?")
    temperature, right = model.card.temperature, result.predicted == result.labels
    after = reliability(result.confidence, right)
    before = None
    if temperature != 1:
        before = reliability(confidence_at(result.probabilities, 1 / temperature), right)
    refused = _refused(model, data, result, model.card.model_dump_json(), data.fingerprint)
    picture, words = st.columns([1.2, 1], gap="large", vertical_alignment="center")
    with picture:
        st.plotly_chart(
            reliability_figure(after, before),
            key=f"reliability-{model.id}",
            height=360,
            config={"displayModeBar": False},
        )
    with words:
        shift = f"{after.error - before.error:+.2%}" if before else None
        explained = (
            f"Expected calibration error: the answers are sorted by confidence into {BINS} bins of equal width; the "
            "gaps between confidence and accuracy are averaged over all answers. 0 % is honest."
        )
        with st.container(horizontal=True):
            st.metric(
                "Calibration error",
                f"{after.error:.2%}",
                shift,
                delta_color="inverse",
                delta_description="by calibration" if before else None,
                help=explained,
                border=True,
                width=200,
            )
            st.metric(
                "Refused",
                f"{refused / len(right):.2%}",
                help=f"{refused:,} of {len(right):,} test images would be called “not a digit” on the Draw page.",
                border=True,
                width=165,
            )
        st.caption(
            "On the dashed line the model is right as often as it says. Above it, it is better than it thinks; below "
            "it, too sure of itself. Large points hold many answers; small ones a few, so they scatter: their lines "
            "are 95 % intervals (Wilson)."
        )
        if before:
            which = "too sure of itself" if temperature > 1 else "not sure enough"
            st.caption(
                f"On its validation images the network was {which}. So its scores are divided by a temperature of "
                f"{temperature:.2f} before they become probabilities, which changes no answer."
            )
        else:
            st.caption("This model has no temperature: its probabilities are shown as the network gives them.")
