"""Results: confusion matrix, mistakes, sample predictions, figures per class of any model on its test images."""

import numpy as np
import streamlit as st

from mnist_core.data.classes import ClassesError
from mnist_core.data.dataset import Dataset, dataset_title
from mnist_core.data.loading import DATASETS, is_available
from mnist_core.figures.classification import confusion_figure
from mnist_core.inference.metrics import Evaluation
from mnist_core.runs.catalogue import Model
from mnist_core.system.settings import data_folder
from ui import cache, page
from ui.labels import preparation_words
from ui.panels.calibration import calibration
from ui.widgets.classes import map_classes
from ui.widgets.dataset import choose_dataset, offer_download
from ui.widgets.images import pictures
from ui.widgets.model import choose_model

page.begin("Results", "🔎")
MOST = 24


def answers(data: Dataset, result: Evaluation, rows: np.ndarray) -> None:
    """Test images, each with what it is and what the model said."""
    captions = []
    for row in rows:
        true, predicted = (page.escape_markdown(data.classes[c]) for c in (result.labels[row], result.predicted[row]))
        right = result.labels[row] == result.predicted[row]
        said = f"{true} / {predicted}" if right else f"**{true} / :red[{predicted}]**"
        captions.append(f"{said} · {result.confidence[row]:.0%}")
    pictures(data.test_images[rows.tolist()].numpy(), captions)


def summary(result: Evaluation) -> None:
    values = (
        ("Accuracy", f"{result.accuracy:.2%}", "Share of test images read right."),
        ("Mistakes", f"{len(result.mistakes()):,}", f"Test images read wrong, of {len(result.labels):,}."),
        ("Loss", f"{result.loss:.4f}", "Mean cross-entropy in nats: how surprised the model is by the truth."),
        ("Weighted F1", f"{result.weighted_f1:.4f}", "F1 of each class, weighted by how often it occurs."),
    )
    with st.container(horizontal=True):
        for label, value, explanation in values:
            st.metric(label, value, help=explanation, border=True, width=165)


@st.fragment
def confusions(data: Dataset, result: Evaluation, key: str) -> None:
    """The matrix, and the images of the cell that was clicked or selected."""
    wrong = result.confusion - np.diag(np.diag(result.confusion))
    worst = [int(i) for i in np.unravel_index(wrong.argmax(), wrong.shape)]
    for name, value in (("true", worst[0]), ("predicted", worst[1])):
        st.session_state.setdefault(f"{key}-{name}", value)

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
        rows = result.cell(true, said)
        names = page.escape_markdown(data.classes[true]), page.escape_markdown(data.classes[said])
        st.markdown(f"**{len(rows):,} × {names[0]} read as {names[1]}**")
        if len(rows):
            answers(data, result, rows[:MOST])
            if len(rows) > MOST:
                st.caption(f"The {MOST} that the model was most sure of.")
        else:
            st.caption("No test image. Choose another cell.")


@st.fragment
def samples(data: Dataset, result: Evaluation) -> None:
    st.subheader("Ten at random", help="True / predicted, and how sure the model was.")
    if st.button("Reshuffle", icon=":material/shuffle:"):
        st.session_state["shuffle"] = st.session_state.get("shuffle", 0) + 1
    random = np.random.default_rng(st.session_state.get("shuffle", 0))
    answers(data, result, random.choice(len(result.labels), min(10, len(result.labels)), replace=False))


@st.fragment
def mistakes(data: Dataset, result: Evaluation) -> None:
    wrong = result.mistakes()
    st.subheader("Mistakes, the most confident first", help="True / predicted, and how sure the model was.")
    if not len(wrong):
        st.caption("None: every test image was read right.")
        return
    shown = st.session_state.get("mistakes-shown", MOST)
    answers(data, result, wrong[:shown])
    if len(wrong) > shown and st.button(f"Show more ({len(wrong) - shown:,} left)", icon=":material/expand_more:"):
        st.session_state["mistakes-shown"] = shown + 2 * MOST
        st.rerun(scope="fragment")


def per_class(data: Dataset, result: Evaluation) -> None:
    st.subheader("Per class")
    rows = [
        {
            "class": data.classes[metrics.label],
            "precision": metrics.precision,
            "recall": metrics.recall,
            "F1": metrics.f1,
            "images": metrics.support,
        }
        for metrics in result.per_class
    ]
    explained = {
        "precision": "Of what was read as this class, the share that is.",
        "recall": "Of this class, the share that was read as it.",
        "F1": "The harmonic mean of the two.",
    }
    columns = {name: st.column_config.NumberColumn(format="%.4f", help=text) for name, text in explained.items()}
    st.dataframe(rows, hide_index=True, column_config=columns, width=620)


def results(model: Model, data: Dataset) -> None:
    """Raises CheckpointError when the model cannot read such images."""
    model.card.require(data.shape, data.title)
    result = cache.evaluation(model, data)
    summary(result)
    if data.name not in DATASETS:
        st.caption(preparation_words(data.preparation))
    page.show_note(data.warning)
    confusions(data, result, f"confusion-{model.id}-{data.name}")
    samples(data, result)
    mistakes(data, result)
    calibration(model, data, result)
    per_class(data, result)


with page.errors_as_messages():
    model = choose_model("Model")
    if model is not None:
        own = model.card.dataset
        offer_download(own, "results")
        here = [name for name in dict.fromkeys((own, *DATASETS)) if is_available(name, data_folder())]
        name = choose_dataset("Test images of", here[0], f"test-{model.id}-{here[0]}", here, check=False)
        if name is not None:
            if name != own:
                st.info(
                    f"This model learned from {page.escape_markdown(dataset_title(own))}; "
                    f"these are the test images of {page.escape_markdown(dataset_title(name))}."
                )
            key = f"classes-{model.id}-{name}"
            try:
                data = cache.dataset(name, model, mapping=st.session_state.get(key, ""))
            except ClassesError as error:
                map_classes(error, key)
            else:
                results(model, data)
