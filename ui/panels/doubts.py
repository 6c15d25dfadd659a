"""Is the model wrong, or the label? And where two models disagree."""

from __future__ import annotations

import streamlit as st

from mnist_core.data.dataset import Dataset
from mnist_core.errors import LabError
from mnist_core.explain.label_errors import accuracy_without, doubted_labels
from mnist_core.inference.disagreement import disagreement
from mnist_core.inference.interval import accuracy_text
from mnist_core.inference.metrics import Evaluation
from mnist_core.runs.catalogue import Model, models
from ui import cache, page
from ui.labels import model_label
from ui.panels.answers import MOST, answers


def doubts(model: Model, data: Dataset, result: Evaluation) -> None:
    """The labels that confident learning doubts, and the score without them beside the plain one."""
    st.subheader("Is the model wrong, or the label?")
    rows = doubted_labels(result.labels, result.probabilities)
    images = len(result.labels)
    if not len(rows):
        st.caption("The model doubts no label of these images.")
        return
    others_right, others = accuracy_without(result.right, rows)
    st.markdown(
        f"- Accuracy on all {images:,} test images: **{accuracy_text(result.accuracy, images)}**\n"
        f"- With the {len(rows)} doubted labels set aside: **{accuracy_text(others_right / max(others, 1), others)}**"
    )
    st.caption(
        "In brackets the 95 % interval (Wilson). A label is doubted where the model, which never learned from these "
        "images, is as sure of another class as it usually is of that class (confident learning: Northcutt et al., "
        "2021). It may be the model that is wrong: look, and vote. Each is a mistake, so to set them aside always "
        "raises the score; nothing is chosen by it."
    )
    answers(model, data, result, rows[:MOST], "doubted")
    if len(rows) > MOST:
        st.caption(f"The {MOST} most doubted of {len(rows)}.")


@st.fragment
def versus(model: Model, data: Dataset, result: Evaluation) -> None:
    """A second model on the same images: who reads what, and McNemar's test."""
    st.subheader("Another model on the same images")
    choices = {other.id: other for other in models() if other.id != model.id and other.card.shape == model.card.shape}
    if not choices:
        st.caption("There is no other model of such images yet.")
        return
    chosen = st.selectbox(
        "Compare with",
        list(choices),
        format_func=lambda name: model_label(choices[name]),
        index=None,
        placeholder="Choose a model",
        key="results-versus",
    )
    if chosen is None:
        return
    other = choices[chosen]
    with page.errors_as_messages():
        theirs = cache.dataset(data.name, other)
        try:
            second = cache.evaluation(other, theirs)
            found = disagreement(result, second)
        except ValueError:
            raise LabError(
                "These two models keep different images for testing, so they cannot be compared image by image."
            ) from None
        mine, yours = (page.escape_markdown(m.card.name) for m in (model, other))
        verdict = "more than chance" if found.p < 0.05 else "no more than chance"
        st.markdown(
            f"They differ on {len(found.rows)} of {len(result.labels):,} images: {mine} alone is right on "
            f"**{len(found.first_alone)}**, {yours} alone on **{len(found.second_alone)}**, neither on "
            f"{len(found.both_wrong)}. McNemar's exact test: p = {found.p:.2g}, {verdict}."
        )
        st.caption(
            f"Accuracy: {mine} {accuracy_text(result.accuracy, len(result.labels))}, {yours} "
            f"{accuracy_text(second.accuracy, len(second.labels))}, with 95 % intervals (Wilson)."
        )
        for title, who, evaluation, rows in (
            (f"{yours} alone is right", model, result, found.second_alone),
            (f"{mine} alone is right", other, second, found.first_alone),
        ):
            if len(rows):
                st.markdown(f"**{title}**: label / what the other model said")
                answers(who, data, evaluation, rows[:MOST], f"alone-{who.id}")
