"""Runs side by side: their histories, the settings in which they differ, and their results."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mnist_core.config import TrainConfig
from mnist_core.data.classes import listed, match_classes
from mnist_core.data.dataset import dataset_title
from mnist_core.errors import CheckpointError, DataError
from mnist_core.models.checkpoint import read_card
from mnist_core.runs.history import History, HistoryReader, Series, latest
from mnist_core.runs.run import Run

AXES = ("step", "epoch", "seconds")


@dataclass(frozen=True)
class Record:
    """What one run was and measured. `figures` holds its numbers for a table, None where there is none (yet)."""

    run_id: str
    state: str
    config: TrainConfig
    history: History
    figures: dict[str, float | None]
    owner: str = ""
    classes: tuple[str, ...] = ()  # that its model tells apart; empty before it has one


def record(run: Run, reader: HistoryReader | None = None) -> Record:
    """Reads a run, by a `reader` that follows it already if there is one. Raises RunError without a config."""
    config, reader = run.config(), reader or HistoryReader(run)
    history, events = reader.history(), reader.events()
    validation = history.validation
    times = [series.seconds.max() for series in (history.train, validation) if len(series.seconds)]
    figures = {
        "best_val_accuracy": validation.accuracy.max() if len(validation.step) else None,
        "best_val_loss": validation.loss.min() if len(validation.step) else None,
        "last_val_accuracy": validation.accuracy[-1] if len(validation.step) else None,
        "last_val_loss": validation.loss[-1] if len(validation.step) else None,
        "test_accuracy": latest(events, "end", "test_accuracy"),
        "parameters": latest(events, "start", "parameters"),
        "train_seconds": max(times, default=None),
    }
    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in figures.items()}
    return Record(run.id, run.status().state, config, history, plain, run.owner, _classes(run))


def _classes(run: Run) -> tuple[str, ...]:
    folder = run.checkpoint()
    try:
        return tuple(read_card(folder).classes) if folder is not None else ()
    except CheckpointError:
        return ()


def incomparable(records: Sequence[Record]) -> str:
    """A sentence where the figures of the runs were measured on different images or classes; else empty."""
    datasets = list(dict.fromkeys(dataset_title(r.config.dataset) for r in records))
    if len({r.config.dataset for r in records}) > 1:
        return (
            f"These runs learned from different datasets ({', '.join(datasets)}): their losses and accuracies were "
            "measured on different images, and do not say which run is better."
        )
    classes = list(dict.fromkeys(r.classes for r in records if r.classes))
    try:
        for other in classes[1:]:
            match_classes(classes[0], other)
            match_classes(other, classes[0])
    except DataError:
        lists = "; ".join(listed(names) for names in classes)
        return f"These runs tell apart different classes ({lists}): their figures do not say which run is better."
    if {"drawing", "whole"} <= {r.config.preparation for r in records}:
        return "These runs learned from the same pictures, prepared in different ways: each was measured on its own."
    return ""


def seconds_left(runs: Iterable[Run]) -> float | None:
    """Training seconds to come, if the epochs to come take as long as those done; None before the first is done.

    Counted in whole epochs, from the checkpoints. Raises RunError or CheckpointError.
    """
    spent = done = to_come = 0.0
    for run in runs:
        folder = run.checkpoint()
        card = read_card(folder) if folder is not None else None
        if card is not None:
            spent, done = spent + card.train_seconds, done + card.epoch
        if run.status().active:
            to_come += run.config().epochs - (card.epoch if card is not None else 0)
    return spent / done * to_come if done else None


def differing(records: Sequence[Record]) -> list[str]:
    """The settings in which the runs are not all alike, in TrainConfig's order."""
    configs = [record.config.model_dump() for record in records]
    return [name for name in TrainConfig.model_fields if any(c[name] != configs[0][name] for c in configs[1:])]


def table(records: Sequence[Record]) -> list[dict[str, Any]]:
    """A row per run: its name and state, the settings that differ, and its figures."""
    fields = differing(records)
    return [
        {
            "run": r.run_id,
            "owner": r.owner,
            "state": r.state,
            **{name: getattr(r.config, name) for name in fields},
            **r.figures,
        }
        for r in records
    ]


def curve_rows(records: Sequence[Record]) -> list[dict[str, Any]]:
    """A row per measurement: the run, train or validation, where it was taken and what it says."""
    return [
        {"run": r.run_id, "kind": kind, **dict(zip(columns, values, strict=True))}
        for r in records
        for kind, columns in (("train", _lists(r.history.train)), ("validation", _lists(r.history.validation)))
        for values in zip(*columns.values(), strict=True)
    ]


def _lists(series: Series) -> dict[str, list[float]]:
    return {name: (values.astype(int) if name == "step" else values).tolist() for name, values in vars(series).items()}


def to_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows → CSV with a header of all their keys, in order of appearance; a missing value is an empty cell."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def to_json(records: Sequence[Record]) -> str:
    """Everything as JSON: what differs, and of each run its whole configuration, figures and curves."""
    runs = [
        {
            "run_id": r.run_id,
            "state": r.state,
            "config": r.config.model_dump(mode="json"),
            "train": _lists(r.history.train),
            "validation": _lists(r.history.validation),
            "figures": r.figures,
            "changes": [asdict(change) for change in r.history.changes],
            "owner": r.owner,
        }
        for r in records
    ]
    return json.dumps({"differing": differing(records), "runs": runs}, indent=2, allow_nan=False)
