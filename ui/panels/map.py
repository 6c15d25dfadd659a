"""The map of the test images on Results: each a point, near those that the model reads alike."""

from __future__ import annotations

import functools

import numpy as np
import streamlit as st

from mnist_core.explain.projection import METHODS, PCA, Method, Projection
from mnist_core.figures.projection import projection_figure
from mnist_core.figures.shown_images import show_images
from mnist_core.runs.catalogue import predictor
from ui import maps, page
from ui.live.chart import Picks, live_chart
from ui.panels.selection import Selecting, Selection
from ui.widgets.canvas import kept_pixels

COLOURS = {"label": "Label", "prediction": "Prediction"}
HEIGHT = 560
WHAT = (
    "A model turns each image into numbers, its last features, from which its last layer reads the class. The map puts "
    "images with similar features near each other."
)
HOW = {
    "pca": "the two directions in which the features of these images vary most. They hold {share:.0%} of all "
    "variation: what overlaps here may lie apart in the others.",
    "t-sne": "near points have similar features. Distances between groups and their sizes say nothing (seed {seed}).",
}


def map_place(key: str) -> dict[str, str | None]:
    """What of the map is to stand in the address, after what the address asks for has been taken over."""
    state = st.session_state
    for name, choices in (("map", METHODS), ("colour", COLOURS)):
        asked = state.pop(f"results-{name}", None)
        if asked in choices:
            state[f"{key}-{name}"] = asked
    method = state.get(f"{key}-map")
    return {"map": method, "colour": state.get(f"{key}-colour") if method else None}


def show_map(selecting: Selecting, selected: Selection) -> None:
    """The map by the method that was chosen, if any. Raises CheckpointError and DataError."""
    key, data = selecting.key, selecting.data
    st.subheader("Map of the test images", help=WHAT)
    with st.container(horizontal=True, gap="medium"):
        method: Method | None = st.segmented_control(
            "Method", METHODS, format_func=METHODS.__getitem__, key=f"{key}-map", persist_state="session"
        )
        if method is not None:
            colour = st.segmented_control(
                "Colour by",
                COLOURS,
                default="label",
                required=True,
                format_func=COLOURS.__getitem__,
                key=f"{key}-colour",
                persist_state="session",
            )
    if method is None:
        st.caption(f"{WHAT} PCA takes a moment, t-SNE about a minute, once for each model.")
        return
    found = maps.projection(selecting.model, data, method)
    drawing, words = _drawing(selecting, method)
    rows = maps.mapped_rows(len(data.test_labels))
    result = selecting.result
    labels, predicted = result.labels[rows], result.predicted[rows]
    marked = np.isin(rows, selected.rows) if selected.chosen else None
    figure = projection_figure(
        found.points,
        labels,
        predicted,
        result.confidence[rows],
        data.classes,
        by_prediction=colour == "prediction",
        rows=rows,
        selected=marked,
        outline=selected.outline if selected.method == method else None,
        drawing=drawing,
    )
    # a browser keeps zoom, lasso and selection of its own until these change
    figure.update_layout(uirevision=method, selectionrevision=f"{selecting.picked} {selecting.cell} {selected.chosen}")
    wrong = int((labels != predicted).sum())
    live_chart(
        figure,
        f"{key}-points",
        height=HEIGHT,
        picks=Picks(
            functools.partial(selecting.select_on_map, method),
            lasso=True,
            images=f"lab/images/{show_images(data.test_images, data.fingerprint)}",
            alt=f"Map of {len(rows):,} test images by {METHODS[method]}, coloured by {colour}: points of a class lie "
            f"around its name, {wrong:,} crosses are mistakes. The fields True, Predicted and Test image select, too.",
        ),
    )
    if selecting.picked:
        st.markdown(selected.title)
    _explain(found, method, len(rows), len(data.test_labels))
    if words:
        st.caption(words)
    elif data.shape.channels == 1 and "Draw" in page.reachable():
        st.page_link("pages/draw.py", label="Draw a digit to see where it lands", icon=":material/draw:")


def _explain(found: Projection, method: Method, shown: int, count: int) -> None:
    share = float(found.explained.sum()) if isinstance(found, PCA) else 0.0
    some = f" {shown:,} of {count:,} test images, at random." if shown < count else ""
    how = HOW[method].format(share=share, seed=maps.SEED)
    st.caption(
        "Point at an image to see it, click it to select it, or draw a lasso around several (with a finger, press the "
        f"lasso first). A double click shows all again. Crosses are mistakes.{some} {METHODS[method]}: {how}"
    )


def _drawing(selecting: Selecting, method: Method) -> tuple[np.ndarray | None, str]:
    """(2,) where the session's drawing lies on the map and what is said of it; None and nothing without one."""
    pixels, reader = kept_pixels(), predictor(selecting.model)
    if pixels is None or reader.card.shape.channels != 1:
        return None, ""
    answer = reader.predict(reader.from_canvas(pixels))
    if answer.model_input is None or answer.digit is None:
        return None, ""
    where = maps.place_of(selecting.model, selecting.data, method, answer.model_input[None])
    words = f"★ Your drawing: read as {page.escape_markdown(selecting.data.classes[answer.digit])}, "
    words += f"{answer.confidence:.1%} sure."
    if method == "t-sne":
        words += " t-SNE has no rule for further images: it lies among those with the nearest features."
    return where, words
