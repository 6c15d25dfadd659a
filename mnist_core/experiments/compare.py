"""Runs side by side: their histories, the settings in which they differ, and their results."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
COLUMNS = (*AXES, "loss", "accuracy")  # of a series
_MEASUREMENTS = 2**14  # written at a time


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
    preparation: str = ""  # of its pictures, which "auto" has chosen; empty before it has a model


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
        "val_images": latest(events, "start", "val_images"),
        "test_images": latest(events, "end", "test_images"),
        "parameters": latest(events, "start", "parameters"),
        "train_seconds": max(times, default=None),
    }
    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in figures.items()}
    return Record(run.id, run.status().state, config, history, plain, run.owner, *_learned(run))


def _learned(run: Run) -> tuple[tuple[str, ...], str]:
    """The classes and the preparation of its model; empty without one."""
    folder = run.checkpoint()
    try:
        card = read_card(folder) if folder is not None else None
    except CheckpointError:
        card = None
    return (tuple(card.classes), card.preparation) if card is not None else ((), "")


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
    if {"drawing", "whole"} <= {r.preparation for r in records}:
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


def to_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows → CSV with a header of all their keys, in order of appearance; a missing value is an empty cell."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def curves_csv(records: Sequence[Record]) -> bytes:
    """A row per measurement as CSV: the run, train or validation, where it was taken and what it says."""
    file = io.BytesIO()
    with io.TextIOWrapper(file, encoding="utf-8", newline="") as text:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["run", "kind", *COLUMNS])
        for r in records:
            for kind, series in (("train", r.history.train), ("validation", r.history.validation)):
                for part in _parts(series):
                    writer.writerows((r.run_id, kind, *row) for row in zip(*part.values(), strict=True))
        text.flush()
        return file.getvalue()


def to_json(records: Sequence[Record]) -> bytes:
    """Everything as JSON: what differs, and of each run its whole configuration, figures and curves."""
    return b"".join(part.encode() for part in _json_parts(records))


def _json_parts(records: Sequence[Record]) -> Iterator[str]:
    yield f'{{"differing": {json.dumps(differing(records))}, "runs": ['
    for number, r in enumerate(records):
        first = {"run_id": r.run_id, "state": r.state, "config": r.config.model_dump(mode="json")}
        last = {
            "figures": r.figures,
            "changes": [asdict(change) for change in r.history.changes],
            "owner": r.owner,
        }
        yield f"{', ' if number else ''}{json.dumps(first, allow_nan=False)[:-1]}"
        for kind, series in (("train", r.history.train), ("validation", r.history.validation)):
            yield f', "{kind}": {{'
            for place, name in enumerate(COLUMNS):
                yield f'{", " if place else ""}"{name}": ['
                for start, part in enumerate(_parts(series)):
                    yield f"{', ' if start else ''}{json.dumps(part[name], allow_nan=False)[1:-1]}"
                yield "]"
            yield "}"
        yield f", {json.dumps(last, allow_nan=False)[1:]}"
    yield "]}"


def _parts(series: Series) -> Iterator[dict[str, list[float]]]:
    """A series by its COLUMNS, so many measurements at a time that a long run never is an object for each step."""
    for start in range(0, len(series.step), _MEASUREMENTS):
        part = {name: getattr(series, name)[start : start + _MEASUREMENTS] for name in COLUMNS}
        yield {name: (values.astype(int) if name == "step" else values).tolist() for name, values in part.items()}
