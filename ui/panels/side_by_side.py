"""Runs side by side: their curves in one picture, what they differ in and what came of it."""

from __future__ import annotations

from typing import Any

import streamlit as st

from mnist_core.experiments.ablation import setting_label
from mnist_core.experiments.compare import (
    AXES,
    Record,
    curves_csv,
    differing,
    incomparable,
    record,
    table,
    to_csv,
    to_json,
)
from mnist_core.figures.curves import Curve, Mark, overlay_figure
from mnist_core.figures.style import COLOURS
from mnist_core.runs.history import shared_reader
from mnist_core.runs.run import Run, list_runs
from ui import actions, page
from ui.labels import interval_words, run_labels
from ui.live.chart import live_chart
from ui.live.legend import legend

AT_FIRST = 3
REFRESH_SECONDS = 1.0
X_TITLES = {"step": "step (batches)", "epoch": "epoch", "seconds": "seconds of training"}
EXPLAINED: dict[str, tuple[str, str | None, str]] = {
    "best_val_accuracy": ("best validation", "%.4f", "The highest accuracy on held-out images, at any time"),
    "best_val_loss": ("best validation loss", "%.4f", "The lowest loss on held-out images, at any time"),
    "last_val_accuracy": ("last validation", "%.4f", "The newest accuracy on held-out images"),
    "last_val_loss": ("last validation loss", "%.4f", "The newest loss on held-out images"),
    "test_accuracy": ("test", "%.4f", "Accuracy on the test images, read once at the end"),
    **{
        f"{name}_interval": (f"{label}, 95 %", None, "In percent: the interval of that accuracy (Wilson)")
        for name, label in (
            ("best_val_accuracy", "best validation"),
            ("last_val_accuracy", "last validation"),
            ("test_accuracy", "test"),
        )
    },
    "parameters": ("parameters", "localized", "Numbers that the network learns"),
    "train_seconds": ("training (s)", "%.1f", "Seconds of training and validating; pauses do not count"),
}


def choose(names: dict[str, str]) -> list[str]:
    """Ids of the runs to compare. The address says them (`?runs=ID,ID`), so that a comparison can be passed on."""
    address = st.query_params.get("runs", "")
    if address != st.session_state.get("compare-address", ""):
        wanted = [run_id for run_id in address.split(",") if run_id]
        for run_id in (run_id for run_id in wanted if run_id not in names):
            st.warning(f"There is no run '{run_id[:100]}' here. Choose among those below.")
        if len(wanted) > len(COLOURS):
            st.warning(f"The address names {len(wanted)} runs; {len(COLOURS)} at a time can be told apart.")
        st.session_state["compared"] = [run_id for run_id in dict.fromkeys(wanted) if run_id in names][: len(COLOURS)]
    kept = st.session_state.setdefault("compared", list(names)[:AT_FIRST])
    if not names.keys() >= set(kept):  # a run's folder was removed meanwhile
        st.session_state["compared"] = [run_id for run_id in kept if run_id in names]
    chosen = st.multiselect(
        "Runs",
        list(names),
        format_func=lambda run_id: names.get(run_id, run_id),
        max_selections=len(COLOURS),
        help=f"Up to {len(COLOURS)}: as many colours as can be told apart with any colour vision.",
        key="compared",
        persist_state="session",
    )
    st.session_state["compare-address"] = st.query_params["runs"] = ",".join(chosen)
    return chosen


def readable(runs: list[Run]) -> list[Record]:
    """The runs that can be read; of the others, why not."""
    records = []
    for run in runs:
        with page.errors_as_messages():
            records.append(record(run, shared_reader(run)))
    return records


def charts(records: list[Record], names: dict[str, str]) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        axis = st.segmented_control(
            "Over", AXES, default="epoch", required=True, key="compare-axis", persist_state="session"
        )
        shown = st.pills(
            "Measured on",
            ["train", "validation"],
            selection_mode="multi",
            default=["train", "validation"],
            help="Solid lines: each batch of training images. Dotted lines with markers: the held-out images.",
            key="compare-kinds",
            persist_state="session",
        )
        window = st.slider(
            "Smoothing (batches)",
            1,
            200,
            25,
            help="Strong training lines are the mean over so many batches; faint ones are each batch. "
            "Validation is shown as it was measured.",
            key="compare-window",
            persist_state="session",
            width=260,
        )
        log = st.toggle(
            "Logarithmic y-axis", help="Equal distances are equal ratios", key="compare-log", persist_state="session"
        )
    fields = differing(records)
    apart = [setting_label({name: getattr(r.config, name) for name in fields}) for r in records]
    legend(
        [f"{names[r.run_id]}: {text}" if text else names[r.run_id] for r, text in zip(records, apart, strict=True)],
        "Solid: training, the mean over the batches behind it, which are faint. Dotted: validation.",
    )
    columns = st.columns(2)
    for column, what in zip(columns, ("loss", "accuracy"), strict=True):
        curves = [
            Curve(names[r.run_id], place, getattr(series, axis), getattr(series, what), kind, window)
            for place, r in enumerate(records)
            for kind, series in (("train", r.history.train), ("validation", r.history.validation))
            if kind in shown
        ]
        marks = [Mark(place, getattr(c, axis), c.label) for place, r in enumerate(records) for c in r.history.changes]
        figure = overlay_figure(curves, what.capitalize(), X_TITLES[axis], what == "accuracy", log, marks)
        with column:
            live_chart(figure, key=f"compare-{what}", height=360)
    for r in records:
        if not len(r.history.train.step) and not len(r.history.validation.step):
            st.caption(f"{names[r.run_id]} has measured nothing{' yet' if r.state == 'queued' else ''}.")


def with_intervals(row: dict[str, Any]) -> dict[str, Any]:
    """The row with the 95 % interval behind each accuracy, and without the numbers of images."""
    shown: dict[str, Any] = {}
    parts = {"best_val_accuracy": "val", "last_val_accuracy": "val", "test_accuracy": "test"}
    for name, value in row.items():
        if name in ("val_images", "test_images"):
            continue
        shown[name] = value
        if part := parts.get(name):
            measured = {f"{part}_accuracy": value, f"{part}_images": row[f"{part}_images"]}
            shown[f"{name}_interval"] = interval_words(measured, part) or None
    return shown


def results(records: list[Record], names: dict[str, str], comparable: bool) -> None:
    rows = [{**with_intervals(row), "run": names[row["run"]]} for row in table(records)]
    fields = differing(records)
    if len(records) > 1:
        st.caption(
            "Settings are shown where the runs differ."
            if fields
            else "These runs began with the same settings, the seed included."
            if any(r.history.changes for r in records)
            else "These runs have the same settings, the seed included"
            + (": they should agree." if comparable else ", and learned from other images.")
        )
    if any(r.history.changes for r in records):
        st.caption("Settings are those at the start; dotted vertical lines show where one was changed on the way.")
    if not any(row["owner"] for row in rows):
        rows = [{name: value for name, value in row.items() if name != "owner"} for row in rows]
    columns: dict[str, Any] = {name: name.replace("_", " ") for name in fields}
    columns |= {
        name: st.column_config.NumberColumn(label, help=text, format=form)
        if form
        else st.column_config.TextColumn(label, help=text)
        for name, (label, form, text) in EXPLAINED.items()
    }
    st.dataframe(rows, hide_index=True, placeholder="–", column_config=columns)


def downloads(records: list[Record], names: dict[str, str]) -> None:
    files = (
        ("Table (CSV)", "table.csv", "text/csv", lambda: to_csv(table(records))),
        ("Curves (CSV)", "curves.csv", "text/csv", lambda: curves_csv(records)),
        ("Everything (JSON)", "comparison.json", "application/json", lambda: to_json(records)),
        ("Report (HTML)", "comparison.html", "text/html", lambda: actions.report(records, names)),
    )
    with st.container(horizontal=True):
        for label, name, kind, make in files:
            st.download_button(label, make, name, kind, icon=":material/download:", on_click="ignore")


def compare(chosen: list[Run], names: dict[str, str], were_active: bool) -> None:
    if were_active and not any(run.status().active for run in chosen):
        st.rerun()
    records = readable(chosen)
    if not records:
        return
    if said := incomparable(records):
        st.warning(page.escape_markdown(said), icon=":material/balance:")
    charts(records, names)
    results(records, names, not said)
    downloads(records, names)


def side_by_side() -> None:
    runs = list_runs()
    if not runs:
        st.info("There is no run to compare yet. Train two, with one setting changed.", icon=":material/info:")
        st.page_link("pages/train.py", label="Train a model", icon=":material/model_training:")
        return
    names, by_id = run_labels(runs), {run.id: run for run in runs}
    chosen = [by_id[run_id] for run_id in choose(names)]
    if len(runs) == 1:
        st.info("This is the only run so far. Train a second one with one setting changed to see what it does.")
    elif not chosen:
        st.info("Choose runs above: two or more to compare them.")
    if chosen:
        active = any(run.status().active for run in chosen)
        st.fragment(compare, run_every=REFRESH_SECONDS if active else None)(chosen, names, active)
