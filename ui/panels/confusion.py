"""The confusion matrix and the map of the test images, and beside them the images that are selected in either."""

from __future__ import annotations

import streamlit as st

from mnist_core.data.dataset import Dataset
from mnist_core.errors import LabError
from mnist_core.figures.classification import confusion_figure
from mnist_core.inference.metrics import Evaluation
from mnist_core.runs.catalogue import Model
from ui import page
from ui.live.chart import Picks, live_chart
from ui.panels.answers import MOST, PANELS, answers, place
from ui.panels.map import map_place, show_map
from ui.panels.selection import Selecting, Selection
from ui.widgets.place import write_part

# on a wide page the images stay beside matrix and map, whichever of the two is in view
STYLE = """<style>
@media (min-width: 641px) {
  [data-testid="stColumn"]:has(.st-key-selected) > div { position: sticky; top: 1rem; height: fit-content; }
}
</style>"""


@st.fragment
def confusions(model: Model, data: Dataset, result: Evaluation, key: str) -> None:
    """The matrix, the map, and the images of what was clicked or selected in them."""
    st.html(STYLE)
    selecting = Selecting(model, data, result, key)
    chosen = {"selected": selecting.picked or None, **map_place(key)}
    true, predicted = selecting.cell
    said = {name: value for name, value in chosen.items() if value}
    write_part("results", PANELS, **place(model, data, true=true, predicted=predicted, **said))
    try:
        selected = selecting.selection()
    except LabError as error:  # of the map on which the lasso lies
        st.error(str(error), icon=":material/error:")
        selecting.select()
        selected = selecting.selection()
    charts, images = st.columns([1.2, 1], gap="large")
    with charts:
        _matrix(selecting, selected)
        shown = st.container()
    with images, st.container(key="selected"):
        _images(selecting, selected)
    with shown, page.errors_as_messages():  # last, as it may take a while
        show_map(selecting, selected)


def _matrix(selecting: Selecting, selected: Selection) -> None:
    result, classes = selecting.result, selecting.data.classes
    normalized = st.toggle("As shares of each true class", key=f"{selecting.key}-normalized")
    wrong = len(result.mistakes())
    live_chart(
        confusion_figure(result.confusion, classes, normalized, page.text_colour(), selected.cells),
        f"{selecting.key}-matrix",
        height=460,
        picks=Picks(
            selecting.select_cell,
            alt=f"Confusion matrix of {len(classes)} classes: {len(result.labels) - wrong:,} images on the diagonal, "
            f"{wrong:,} mistakes beside it. The fields True and Predicted select a cell, too.",
        ),
    )
    st.caption("A row per true class, a column per prediction. Colour shows mistakes. Click a cell to see its images.")


def _images(selecting: Selecting, selected: Selection) -> None:
    """The fields that select without a mouse, and the images of what is selected."""
    model, data, result, key = selecting.model, selecting.data, selecting.result, selecting.key
    left, middle, right = st.columns(3)
    names = data.classes.__getitem__
    for column, label in ((left, "True"), (middle, "Predicted")):
        column.selectbox(
            label, range(len(data.classes)), format_func=names, key=f"{key}-{label.lower()}", on_change=selecting.select
        )

    def select_row() -> None:
        row = st.session_state[f"{key}-row"]
        selecting.select("" if row is None else f"row.{row}")

    st.session_state[f"{key}-row"] = selecting.row
    last = len(result.labels) - 1
    right.number_input("Test image", 0, last, key=f"{key}-row", on_change=select_row, placeholder=f"0 to {last}")
    st.markdown(selected.title)
    if selecting.picked:
        again = f"Back to {selecting.name(selecting.cell)}"
        st.button(again, icon=":material/undo:", key=f"{key}-back", on_click=selecting.select)
    if len(selected.rows):
        answers(model, data, result, selected.rows[:MOST], "cell")
    else:
        st.caption("No test image. Choose another cell.")
    if len(selected.rows) > MOST:
        st.caption(
            f"The {MOST} that the model was most sure of."
            if selected.outline is None
            else f"{MOST} of them: mistakes first, the most confident ones, then what it was least sure of."
        )
