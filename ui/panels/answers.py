"""Test images with what a model said of them, each with a link to why."""

from __future__ import annotations

import numpy as np
import streamlit as st

from mnist_core.data.dataset import Dataset
from mnist_core.figures.images import as_picture, enlarge
from mnist_core.inference.metrics import Evaluation
from mnist_core.runs.catalogue import Model
from ui import page

MOST = 24  # images shown at once
WIDTH = 96
# links to the page that is shown are marked as current: here all of them would be
STYLE = """<style>
[class*="st-key-answers-"] [data-testid="stPageLink"] a { background: transparent; padding: 0 0.25rem; }
[class*="st-key-answers-"] [data-testid="stPageLink"] a p { font-weight: 400; font-size: 0.8rem; }
</style>"""


PLACE = ("data", "true", "predicted", "image", "selected", "map", "colour", "corruption")
"""What the address of Results names, beside the model."""
PANELS = ("corruption",)
"""Of these, what a panel writes that has a place of its own."""


def place(model: Model, data: Dataset, **further: object) -> dict[str, str]:
    """The address of a place on Results."""
    return {"model": model.id, "data": data.name, **{name: str(value) for name, value in further.items()}}


def answers(model: Model, data: Dataset, result: Evaluation, rows: np.ndarray, key: str) -> None:
    """Test images, each with what it is and what the model said; the number leads to its own view."""
    st.html(STYLE)
    factor = max(2 * WIDTH // max(data.test_images.shape[2:]), 1)
    with st.container(horizontal=True, gap="small", key=f"answers-{key}"):
        for row in rows.tolist():
            true, predicted = (data.classes[c] for c in (result.labels[row], result.predicted[row]))
            right = result.labels[row] == result.predicted[row]
            true, predicted = page.escape_markdown(true), page.escape_markdown(predicted)
            said = f"{true} / {predicted}" if right else f"**{true} / :red[{predicted}]**"
            with st.container(width=WIDTH, gap=None):
                picture = enlarge(as_picture(data.test_images[row]), factor)
                caption = f"{said} · {result.confidence[row]:.0%}"
                st.image(picture, caption, width=WIDTH, output_format="PNG", alt=f"Test image {row}: {true}")
                st.page_link(
                    "pages/results.py",
                    label=f"{row}: why?",
                    help=f"Why test image {row} was read so",
                    query_params=place(model, data, image=f"test:{row}"),
                )
