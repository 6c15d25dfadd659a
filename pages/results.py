"""Results: confusion matrix, mistakes, figures per class of any model on its test images; and one image of them."""

import re
from typing import Any

import numpy as np
import streamlit as st

from mnist_core.data.classes import ClassesError
from mnist_core.data.dataset import Dataset, dataset_title
from mnist_core.data.loading import DATASETS, is_available
from mnist_core.inference.interval import accuracy_interval, interval_text
from mnist_core.inference.metrics import Evaluation
from mnist_core.runs.catalogue import Model
from mnist_core.system.settings import data_folder
from ui import cache, page
from ui.labels import preparation_words
from ui.panels.answers import MOST, PLACE, answers, place
from ui.panels.calibration import calibration
from ui.panels.confusion import confusions
from ui.panels.doubts import doubts, versus
from ui.panels.robustness import robustness
from ui.widgets.classes import map_classes
from ui.widgets.dataset import choose_dataset, offer_download, preset_dataset
from ui.widgets.model import choose_model
from ui.widgets.place import read_place, write_place

page.begin("Results", "🔎")


def summary(result: Evaluation) -> None:
    interval = interval_text(result.accuracy_interval)
    values = (
        (
            "Accuracy",
            f"{result.accuracy:.2%}",
            f"Share of test images read right. 95 % interval in percent (Wilson): {interval}.",
        ),
        ("Mistakes", f"{len(result.mistakes()):,}", f"Test images read wrong, of {len(result.labels):,}."),
        ("Loss", f"{result.loss:.4f}", "Mean cross-entropy in nats: how surprised the model is by the truth."),
        ("Weighted F1", f"{result.weighted_f1:.4f}", "F1 of each class, weighted by how often it occurs."),
    )
    with st.container(horizontal=True):
        for label, value, explanation in values:
            st.metric(label, value, help=explanation, border=True, width=165)
    st.caption(f"95 % interval of the accuracy (Wilson), as {len(result.labels):,} images tell it: {interval} %.")


@st.fragment
def samples(model: Model, data: Dataset, result: Evaluation) -> None:
    st.subheader("Ten at random", help="True / predicted, and how sure the model was.")
    if st.button("Reshuffle", icon=":material/shuffle:"):
        st.session_state["shuffle"] = st.session_state.get("shuffle", 0) + 1
    random = np.random.default_rng(st.session_state.get("shuffle", 0))
    rows = random.choice(len(result.labels), min(10, len(result.labels)), replace=False)
    answers(model, data, result, rows, "samples")


@st.fragment
def mistakes(model: Model, data: Dataset, result: Evaluation) -> None:
    wrong = result.mistakes()
    st.subheader("Mistakes, the most confident first", help="True / predicted, and how sure the model was.")
    if not len(wrong):
        st.caption("None: every test image was read right.")
        return
    shown = st.session_state.get("mistakes-shown", MOST)
    answers(model, data, result, wrong[:shown], "mistakes")
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
            "recall, 95 %": interval_text(accuracy_interval(metrics.recall, metrics.support)),
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
    columns: dict[str, Any] = {
        name: st.column_config.NumberColumn(format="%.4f", help=text) for name, text in explained.items()
    }
    columns["recall, 95 %"] = st.column_config.TextColumn(help="In percent: the interval of that share (Wilson)")
    st.dataframe(rows, hide_index=True, column_config=columns, width=700)


def results(model: Model, data: Dataset) -> None:
    """Raises CheckpointError when the model cannot read such images."""
    model.card.require(data.shape, data.title)
    result = cache.evaluation(model, data)
    named = re.fullmatch(r"test:(\d{1,9})", st.session_state.get("results-image") or "")
    if named and int(named[1]) < len(data.test_labels):
        write_place("results", **place(model, data, image=named[0]))
        with page.loading_torch():
            from ui.panels.mistake import one_image
        one_image(model, data, result, int(named[1]))
        return
    summary(result)
    if data.name not in DATASETS:
        st.caption(preparation_words(data.preparation))
    page.show_note(data.warning)
    confusions(model, data, result, f"confusion-{model.id}-{data.name}")
    samples(model, data, result)
    mistakes(model, data, result)
    robustness(model, data, result)
    doubts(model, data, result)
    versus(model, data, result)
    calibration(model, data, result)
    per_class(data, result)


with page.errors_as_messages():
    read_place("results", PLACE)
    model = choose_model("Model", in_address=True)
    if model is not None:
        own = model.card.dataset
        offer_download(own, "results")
        here = [name for name in dict.fromkeys((own, *DATASETS)) if is_available(name, data_folder())]
        test_key = f"test-{model.id}-{here[0]}"
        asked = st.session_state.pop("results-data", None)
        if asked in here:
            st.session_state[test_key] = asked
        elif asked is not None:
            preset_dataset(test_key, asked)
        name = choose_dataset("Test images of", here[0], test_key, here, check=False)
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
