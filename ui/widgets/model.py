"""The choice of a model, the table of models on the Home page, and the cards of the shipped ones in words."""

from __future__ import annotations

from typing import Any

import streamlit as st

from mnist_core.data.dataset import dataset_title
from mnist_core.models.card import Card
from mnist_core.models.checkpoint import SHIPPED, WEIGHTS
from mnist_core.runs.catalogue import Model, models
from ui import page
from ui.labels import interval_words, model_label, model_name
from ui.widgets.fold import fold
from ui.widgets.table import Column, show_table

INTERVAL = "In percent: the interval of that accuracy (Wilson)"
COLUMNS = {
    "test": Column("{:.2f} %", "Accuracy on the test images of what it learned from"),
    "test, 95 %": Column(explanation=INTERVAL),
    "drawn": Column("{:.2f} %", "Accuracy on digits drawn with a pen"),
    "drawn, 95 %": Column(explanation=INTERVAL),
    "parameters": Column("{:,}"),
    "kB": Column("{:,}", "Size of the weights' file"),
    "ms a prediction": Column(
        "{:.1f}", "From the drawing to the answer, as measured on the machine that the card names"
    ),
    "calibration error": Column(
        "{:.2f} %",
        "How far its confidence is from how often it is right, on MNIST's test images; 0 is honest",
    ),
    "training (s)": Column("{:,.0f}"),
}


def show_models(shown: list[Model]) -> None:
    """A table with a row per model; columns without any value are left out."""
    rows = [_row(model) for model in shown]
    known = [name for name in rows[0] if any(row[name] is not None for row in rows)]
    table = [{name: row[name] for name in known} for row in rows]
    show_table(table, COLUMNS, "Models")
    for model in shown:
        if model.folder.parent == SHIPPED:
            _in_words(model)


def _row(model: Model) -> dict[str, Any]:
    card, measured = model.card, model.card.measured
    drawn = {}
    if measured and measured.drawn_accuracy is not None and measured.drawn_images:
        drawn = {"drawn_accuracy": measured.drawn_accuracy, "drawn_images": measured.drawn_images}
    weights = model.folder / WEIGHTS
    return {
        "model": model_name(model),
        "test": _percent(card.metrics.get("test_accuracy")),
        "test, 95 %": interval_words(card.metrics, "test") or None,
        "drawn": _percent(measured.drawn_accuracy if measured else None),
        "drawn, 95 %": interval_words(drawn, "drawn") or None,
        "parameters": card.parameters,
        "kB": round(weights.stat().st_size / 1000) if weights.is_file() else None,
        "ms a prediction": measured.milliseconds if measured else None,
        "calibration error": _percent(measured.calibration_error if measured else None),
        "training (s)": card.train_seconds,
        "learned from": dataset_title(card.dataset),
        "architecture": card.architecture,
    }


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _in_words(model: Model) -> None:
    """An expander with the card of a shipped model: what it is, how it was made, its limits."""
    card = model.card
    label = f"About **{page.escape_markdown(card.name)}**, which comes with the lab"
    with fold(label, f"about-{model.id}", ":material/info:") as is_open:
        if is_open:
            _card(card)


def _card(card: Card) -> None:
    about = card.about
    if card.summary:
        st.markdown(page.escape_markdown(card.summary))
    facts = {
        "Learned from": "; ".join(about.data),
        "Seeds": ", ".join(map(str, about.seeds)),
        "Trained on": about.machine,
        "Milliseconds measured on": card.measured.machine if card.measured else "",
    }
    lines = [f"- **{name}**: {page.escape_markdown(text)}" for name, text in facts.items() if text]
    for name, figure in about.figures.items():
        spread = "" if figure.std is None else f" ± {figure.std:.4g}"
        trainings = "1 training" if figure.seeds == 1 else f"{figure.seeds} trainings"
        lines.append(f"- **{page.escape_markdown(name)}**: {figure.mean:.4g}{spread} ({trainings})")
    lines += [f"- {page.escape_markdown(limit)}" for limit in about.limits]
    if lines:
        st.markdown("\n".join(lines))
    if about.command:
        st.code(about.command, language="bash", wrap_lines=True)


def choose_model(label: str, in_address: bool = False) -> Model | None:
    """A select box over all models, shared by all pages; `?model=ID` in the address presets it.

    With `in_address` the parameter stays there, for a page that writes its place into the address; it is read when it
    changes. Without any model: None, and a link to the Train page.
    """
    choices = {model.id: model for model in models()}
    if not choices:
        st.info("There is no model yet. Train one, it takes a minute.", icon=":material/info:")
        st.page_link("pages/train.py", label="Train a model", icon=":material/model_training:")
        return None
    wanted = st.query_params.get("model") if in_address else st.query_params.pop("model", None)
    if in_address and wanted == st.session_state.get("model-written"):
        wanted = None
    if wanted in choices:
        st.session_state["model"] = wanted
    elif wanted is not None:
        st.warning(f"There is no model '{page.escape_markdown(wanted[:100])}' here. Choose one of those below.")
    chosen = st.selectbox(
        label, list(choices), format_func=lambda name: model_label(choices[name]), key="model", persist_state="session"
    )
    if in_address:
        st.session_state["model-written"] = chosen
    if choices[chosen].damage:
        st.warning(choices[chosen].damage, icon=":material/history:")
    return choices[chosen]
