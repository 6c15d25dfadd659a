"""Runs side by side: their curves in one picture, what they differ in and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
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
from mnist_core.experiments.seeds import SeedGroup, seed_groups, spread
from mnist_core.figures.bands import Band, seed_band
from mnist_core.figures.curves import Curve, Mark, overlay_figure
from mnist_core.figures.style import COLOURS
from mnist_core.runs.history import shared_reader
from mnist_core.runs.run import Run, list_runs
from mnist_core.runs.seed_snapshots import shortfalls
from ui import actions, page
from ui.labels import compare_link, interval_words, run_labels
from ui.live.chart import live_chart
from ui.live.legend import legend

AT_FIRST = 3  # lines
LOOKED_THROUGH = 30  # of the newest runs, for these
MOST_CHOSEN = 60  # runs, of which ten seeds may be one line
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

GROUPED = {
    "test": st.column_config.TextColumn(help="Accuracy on the test images, read once at the end"),
    "test, 95 %": st.column_config.TextColumn(help="In percent. One seed has no such interval"),
    "validation": st.column_config.TextColumn(help="Accuracy on the held-out images, of the weights that are kept"),
    "training (s)": st.column_config.NumberColumn(format="%.1f", help="Seconds of a training, the mean over seeds"),
    "link": st.column_config.LinkColumn(display_text="by itself", help="Opens this row by itself"),
}


def choose(names: dict[str, str], runs: list[Run]) -> list[str]:
    """Ids of the runs to compare. The address says them (`?runs=ID,ID`), so that a comparison can be passed on; without
    any these are the newest, and where one of them is of several seeds also the others."""
    address = st.query_params.get("runs", "")
    if address != st.session_state.get("compare-address", ""):
        wanted = [run_id for run_id in address.split(",") if run_id]
        for run_id in (run_id for run_id in wanted if run_id not in names):
            st.warning(f"There is no run '{run_id[:100]}' here. Choose among those below.")
        if len(wanted) > MOST_CHOSEN:
            st.warning(f"The address names {len(wanted)} runs; these are the first {MOST_CHOSEN}.")
        st.session_state["compared"] = [run_id for run_id in dict.fromkeys(wanted) if run_id in names][:MOST_CHOSEN]
    if "compared" not in st.session_state:
        newest = seed_groups(runs[:LOOKED_THROUGH])[:AT_FIRST]
        st.session_state["compared"] = [run.id for group in newest for run in group.runs][:MOST_CHOSEN]
    kept = st.session_state["compared"]
    if not names.keys() >= set(kept):  # a run's folder was removed meanwhile
        st.session_state["compared"] = [run_id for run_id in kept if run_id in names]
    chosen = st.multiselect(
        "Runs",
        list(names),
        format_func=lambda run_id: names.get(run_id, run_id),
        max_selections=MOST_CHOSEN,
        help=f"Up to {len(COLOURS)} lines, as many colours as can be told apart with any colour vision. Runs that "
        "differ by their seed alone are one line.",
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


@dataclass(frozen=True)
class Line:
    """What has one colour: a run, or the mean over runs that differ by their seed alone."""

    name: str
    records: list[Record]
    group: SeedGroup

    @property
    def several(self) -> bool:
        return len(self.records) > 1

    def setting(self, fields: list[str]) -> str:
        """The settings in which the lines differ, as text."""
        own = [name for name in fields if name != "seed" or not self.several]
        return setting_label({name: getattr(self.records[0].config, name) for name in own})


def lines(records: list[Record], runs: list[Run], names: dict[str, str]) -> list[Line]:
    """The runs as lines. With the switch, which is there where runs differ by their seed alone, these are one."""
    by_id = {r.run_id: r for r in records}
    groups = seed_groups([run for run in runs if run.id in by_id])
    if not any(group.several for group in groups) or not st.toggle(
        "Group seeds",
        True,
        key="compare-groups",
        persist_state="session",
        help="Runs that differ by their seed alone are one line, their mean, and one row of the table.",
    ):
        return [Line(names[run.id], [by_id[run.id]], group) for group in groups for run in group.runs]
    found = []
    for group in groups:
        name = names[group.counted[0].id]
        if group.several:
            found.append(Line(f"{name}, {group.seeds_text}", [by_id[run.id] for run in group.counted], group))
        else:
            found += [Line(names[run.id], [by_id[run.id]], group) for run in group.runs]
    return found


def charts(shown_lines: list[Line]) -> None:
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
    records = [r for line in shown_lines for r in line.records]
    fields = differing(records)
    apart = [line.setting(fields) for line in shown_lines]
    averaged = any(line.several for line in shown_lines)
    legend(
        [f"{line.name}: {text}" if text else line.name for line, text in zip(shown_lines, apart, strict=True)],
        "Solid: training, the mean over the batches behind it, which are faint. Dotted: validation."
        + (" Of several seeds: the mean, and a band of ± one standard deviation over them." if averaged else ""),
    )
    columns = st.columns(2)
    for column, what in zip(columns, ("loss", "accuracy"), strict=True):
        curves = [
            _curve(line, place, kind, axis, what, window)
            for place, line in enumerate(shown_lines)
            for kind in ("train", "validation")
            if kind in shown
        ]
        marks = [
            Mark(place, getattr(c, axis), c.label)
            for place, line in enumerate(shown_lines)
            for c in line.records[0].history.changes  # of several seeds, all have the same
        ]
        figure = overlay_figure(curves, what.capitalize(), X_TITLES[axis], what == "accuracy", log, marks)
        with column:
            live_chart(figure, key=f"compare-{what}", height=360)
    for line in shown_lines:
        if line.several:
            said = shortfalls(line.group.counted, [r.history for r in line.records])
            if said:
                st.caption(f"{line.name}: {said}")
        elif not len((r := line.records[0]).history.train.step) and not len(r.history.validation.step):
            st.caption(f"{line.name} has measured nothing{' yet' if r.state == 'queued' else ''}.")


def _curve(line: Line, place: int, kind: str, axis: str, what: str, window: int) -> Curve | Band:
    series = [r.history.train if kind == "train" else r.history.validation for r in line.records]
    points = [(getattr(part, axis), getattr(part, what)) for part in series]
    if line.several:
        return seed_band(line.name, place, points, kind, window)
    return Curve(line.name, place, *points[0], kind, window)


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


def results(shown_lines: list[Line], names: dict[str, str], comparable: bool) -> None:
    """The table; where seeds are grouped, one of the groups, which opens to the single runs."""
    records = [r for line in shown_lines for r in line.records]
    if not any(line.several for line in shown_lines):
        _single_runs(records, names, comparable)
        return
    fields = [name for name in differing(records) if name != "seed"]
    rows = [_group_row(line, fields) for line in shown_lines]
    named: dict[str, Any] = {name: name.replace("_", " ") for name in fields}
    st.dataframe(rows, hide_index=True, placeholder="–", column_config={**named, **GROUPED})
    st.caption(
        "Of several seeds: mean ± standard deviation over those that are finished, one run for each seed. 95 %: the "
        "interval of the mean over the seeds (Student's t), which says what other seeds could give."
    )
    with st.expander(f"The {len(records)} single runs", icon=":material/unfold_more:"):
        _single_runs(records, names, comparable)


def _group_row(line: Line, fields: list[str]) -> dict[str, Any]:
    test, validation = line.group.spread("test_accuracy"), line.group.spread("val_accuracy")
    seconds = [value for r in line.records if (value := r.figures["train_seconds"]) is not None]
    if not line.several:
        own = line.records[0].figures
        test, validation = (
            spread([] if value is None else [value]) for value in (own["test_accuracy"], own["last_val_accuracy"])
        )
    return {
        "run": line.name.partition(f", {line.group.seeds_text}")[0],
        "seeds": line.group.seeds_text if line.several else f"seed {line.records[0].config.seed}",
        **{name: getattr(line.records[0].config, name) for name in fields},
        "test": test.text(percent=True) if test.values else None,
        "test, 95 %": test.interval(percent=True) or None,
        "validation": validation.text(percent=True) if validation.values else None,
        "training (s)": float(np.mean(seconds)) if seconds else None,
        "state": line.group.states if line.several else line.records[0].state,
        "link": compare_link(line.group.counted if line.several else line.group.runs),
    }


def _single_runs(records: list[Record], names: dict[str, str], comparable: bool) -> None:
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
    found = lines(records, chosen, names)
    if len(found) > len(COLOURS):
        st.warning(f"{len(found)} lines are chosen; {len(COLOURS)} at a time can be told apart: these are the first.")
        found = found[: len(COLOURS)]
    charts(found)
    results(found, names, not said)
    downloads(records, names)


def side_by_side() -> None:
    runs = list_runs()
    if not runs:
        st.info("There is no run to compare yet. Train two, with one setting changed.", icon=":material/info:")
        st.page_link("pages/train.py", label="Train a model", icon=":material/model_training:")
        return
    names, by_id = run_labels(runs), {run.id: run for run in runs}
    chosen = [by_id[run_id] for run_id in choose(names, runs)]
    if len(runs) == 1:
        st.info("This is the only run so far. Train a second one with one setting changed to see what it does.")
    elif not chosen:
        st.info("Choose runs above: two or more to compare them.")
    if chosen:
        active = any(run.status().active for run in chosen)
        st.fragment(compare, run_every=REFRESH_SECONDS if active else None)(chosen, names, active)
