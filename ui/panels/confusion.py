"""The confusion matrix, and the images of one of its cells."""

from __future__ import annotations

import numpy as np
import streamlit as st

from mnist_core.data.dataset import Dataset
from mnist_core.figures.classification import confusion_figure
from mnist_core.inference.metrics import Evaluation
from mnist_core.runs.catalogue import Model
from ui import page
from ui.panels.answers import MOST, PANELS, answers, place
from ui.widgets.place import number, write_part


@st.fragment
def confusions(model: Model, data: Dataset, result: Evaluation, key: str) -> None:
    """The matrix, and the images of the cell that was clicked or selected."""
    wrong = result.confusion - np.diag(np.diag(result.confusion))
    worst = [int(i) for i in np.unravel_index(wrong.argmax(), wrong.shape)]
    for name, value in (("true", worst[0]), ("predicted", worst[1])):
        asked = st.session_state.pop(f"results-{name}", None)  # by the address
        if asked is not None:
            st.session_state[f"{key}-{name}"] = asked
        number(f"{key}-{name}", len(data.classes), value)

    def clicked() -> None:
        points = st.session_state[f"{key}-matrix"]["selection"]["points"]
        if points:
            st.session_state[f"{key}-true"], st.session_state[f"{key}-predicted"] = points[0]["customdata"]

    matrix, cell = st.columns([1.2, 1], gap="large")
    with matrix:
        normalized = st.toggle("As shares of each true class", key=f"{key}-normalized")
        st.plotly_chart(
            confusion_figure(result.confusion, data.classes, normalized, page.text_colour()),
            key=f"{key}-matrix",
            on_select=clicked,
            selection_mode="points",
            height=460,
            config={"displayModeBar": False, "showSendToCloud": False},
        )
        st.caption(
            "A row per true class, a column per prediction. Colour shows mistakes. Click a cell to see its images."
        )
    with cell:
        classes = range(len(data.classes))
        left, right = st.columns(2)
        true = left.selectbox("True", classes, format_func=data.classes.__getitem__, key=f"{key}-true")
        said = right.selectbox("Predicted", classes, format_func=data.classes.__getitem__, key=f"{key}-predicted")
        write_part("results", PANELS, **place(model, data, true=true, predicted=said))
        rows = result.cell(true, said)
        names = page.escape_markdown(data.classes[true]), page.escape_markdown(data.classes[said])
        st.markdown(f"**{len(rows):,} × {names[0]} read as {names[1]}**")
        if len(rows):
            answers(model, data, result, rows[:MOST], "cell")
            if len(rows) > MOST:
                st.caption(f"The {MOST} that the model was most sure of.")
        else:
            st.caption("No test image. Choose another cell.")
