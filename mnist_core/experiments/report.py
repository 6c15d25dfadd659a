"""A report: one HTML file on a run, or on several side by side. It holds its pictures and needs no network."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from mnist_core.config import TrainConfig, field_help
from mnist_core.data.dataset import Dataset, dataset_title
from mnist_core.data.prepare import load_for
from mnist_core.errors import DataError
from mnist_core.experiments.compare import Record, differing, incomparable
from mnist_core.experiments.compare import record as record_of
from mnist_core.experiments.export import command
from mnist_core.figures.curves import Curve
from mnist_core.figures.images import as_picture, data_url
from mnist_core.figures.style import COLOURS
from mnist_core.figures.svg import curves_svg
from mnist_core.inference.interval import accuracy_interval, accuracy_text, interval_text
from mnist_core.inference.metrics import Evaluation, evaluate
from mnist_core.inference.predictor import Predictor
from mnist_core.runs.run import Run

MOST_MISTAKES = 24
MOST_CLASSES = 20  # of a confusion matrix with numbers
STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { line-height: 1.2; } h2 { margin-top: 2.2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; }
th, td { padding: .2rem .6rem; border-bottom: 1px solid #8885; text-align: right; }
th:first-child, td:first-child { text-align: left; } td.text { text-align: left; }
.confusion td { text-align: center; min-width: 2rem; }
.figures { display: flex; flex-wrap: wrap; gap: 1rem; } .figures svg { max-width: 100%; height: auto; }
figure { margin: 0 .6rem .6rem 0; display: inline-block; width: 84px; font-size: .8rem; }
figure img { width: 84px; image-rendering: pixelated; display: block; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #8882; padding: .6rem; }
.quiet { opacity: .75; font-size: .9rem; }
@media print { body { max-width: none; } h2 { break-after: avoid; } }
"""


def report(
    records: Sequence[Record],
    names: Mapping[str, str] | None = None,
    evaluations: Mapping[str, tuple[Dataset, Evaluation]] | None = None,
) -> bytes:
    """Runs → the file. `names` are their labels (default: their ids).

    `evaluations` has, by run id, the test images and what the model says of them; without it a run's mistakes are left
    out. Settings are those at the start of a training.
    """
    names = names or {record.run_id: record.run_id for record in records}
    title = names[records[0].run_id] if len(records) == 1 else f"{len(records)} runs compared"
    body = [f"<h1>{escape(title)}</h1>"]
    body += _one(records[0]) if len(records) == 1 else _several(records, names)
    for record in records:
        if found := (evaluations or {}).get(record.run_id):
            body += _evaluation(*found, "" if len(records) == 1 else f": {names[record.run_id]}")
    body += _settings(records, names)
    head = (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'\">\n"
        f"<title>{escape(title)} · MNIST Lab</title>\n<style>{STYLE}</style>\n"
    )
    foot = (
        '<p class="quiet">Made by MNIST Lab. In brackets, and under 95 %, the interval of an accuracy in percent '
        "(Wilson), by the number of images. The test images were read once, after the training.</p>\n</html>\n"
    )
    return (head + "\n".join(body) + foot).encode()


def run_report(run: Run, name: str = "", data_dir: Path | str | None = None) -> bytes:
    """The report of one run, with what its model says of its test images where these are on this machine.

    Raises RunError without a configuration, CheckpointError for a damaged model.
    """
    own, folder = record_of(run), run.checkpoint()
    found: dict[str, tuple[Dataset, Evaluation]] = {}
    if folder is not None and not run.status().active:
        predictor = Predictor(folder)
        card = predictor.card
        with contextlib.suppress(DataError):  # its images are not here, or are others now
            data = load_for(card.config, data_dir, classes=card.classes)
            if data.shape == card.shape:
                found[run.id] = data, evaluate(predictor.network, data.test_images, data.test_labels)
    return report([own], {run.id: name or run.id}, found)


def _one(record: Record) -> list[str]:
    config, figures = record.config, record.figures
    known = [f"{figures['parameters']:,.0f} parameters"] if figures["parameters"] else []
    known += [f"learned from {dataset_title(config.dataset)}", f"seed {config.seed}", record.state]
    known += [f"by {record.owner}"] if record.owner else []
    rows = [
        (label, _figure(record, name))
        for name, label in (
            ("test_accuracy", "Test accuracy"),
            ("best_val_accuracy", "Best validation accuracy"),
            ("last_val_accuracy", "Last validation accuracy"),
            ("last_val_loss", "Last validation loss (nats)"),
            ("train_seconds", "Training (s)"),
        )
    ]
    return [
        f"<p>{escape(', '.join(known))}.</p>",
        _table(None, rows),
        *_curves([record], {record.run_id: ""}),
        "<h2>To repeat it</h2>",
        "<p>On the command line, in the lab's folder:</p>",
        f"<pre>{escape(command(config))}</pre>",
    ]


def _several(records: Sequence[Record], names: Mapping[str, str]) -> list[str]:
    fields = differing(records)
    header = ["run", *(field.replace("_", " ") for field in fields), "test accuracy", "best validation", "loss", "s"]
    rows: list[Sequence[Any]] = []
    for place, record in enumerate(records):
        dot = f'<span style="color:{COLOURS[place % len(COLOURS)]}">●</span> '
        figures = ("test_accuracy", "best_val_accuracy", "last_val_loss", "train_seconds")
        rows.append(
            [
                _Html(dot + escape(names[record.run_id])),
                *(getattr(record.config, field) for field in fields),
                *(_figure(record, name) for name in figures),
            ]
        )
    said = incomparable(records)
    return [
        *([f"<p><strong>{escape(said)}</strong></p>"] if said else []),
        _table(header, rows),
        *_curves(records, names),
    ]


def _curves(records: Sequence[Record], names: Mapping[str, str]) -> list[str]:
    charts = []
    for what in ("loss", "accuracy"):
        curves = [
            Curve(f"{names[record.run_id]} {kind}".strip(), place, series.epoch, getattr(series, what), kind)
            for place, record in enumerate(records)
            for kind, series in (("train", record.history.train), ("validation", record.history.validation))
        ]
        charts.append(curves_svg(curves, what.capitalize(), percent=what == "accuracy"))
    note = "Solid: training batches, the mean of 25. Dotted: validation."
    changes = [f"{change.label} at epoch {change.epoch:.3g}" for r in records for change in r.history.changes]
    note += f" Changed on the way: {'; '.join(changes)}." if changes else ""
    return ["<h2>Curves</h2>", f'<div class="figures">{"".join(charts)}</div>', f'<p class="quiet">{escape(note)}</p>']


def _evaluation(data: Dataset, result: Evaluation, of: str) -> list[str]:
    """What the model says of the test images: confusions, figures per class, the surest mistakes."""
    mistakes, names = result.mistakes(), data.classes
    parts = [
        f"<h2>On {len(result.labels):,} test images of {escape(data.title)}{escape(of)}</h2>",
        f"<p>{accuracy_text(result.accuracy, len(result.labels))} are read right, {len(mistakes):,} are not.</p>",
    ]
    if len(names) <= MOST_CLASSES:
        parts += ["<h3>Confusions</h3>", _confusion(result.confusion, names)]
        parts.append('<p class="quiet">A row per true class, a column per answer.</p>')
    rows = [
        (
            names[c.label],
            f"{c.precision:.4f}",
            f"{c.recall:.4f}",
            _recall(c.recall, c.support),
            f"{c.f1:.4f}",
            c.support,
        )
        for c in result.per_class
    ]
    parts += ["<h3>Per class</h3>", _table(["class", "precision", "recall", "recall, 95 %", "F1", "images"], rows)]
    if len(mistakes):
        parts.append(f"<h3>The surest {min(MOST_MISTAKES, len(mistakes))} mistakes</h3><div>")
        for row in mistakes[:MOST_MISTAKES].tolist():
            picture = data_url(np.ascontiguousarray(as_picture(np.asarray(data.test_images[row]))))
            true, said = (escape(names[c]) for c in (result.labels[row], result.predicted[row]))
            parts.append(
                f'<figure><img src="{picture}" alt="Test image {row}"><figcaption>{true}, read as {said} '
                f"({result.confidence[row]:.0%})</figcaption></figure>"
            )
        parts.append("</div>")
    return parts


def _recall(recall: float, images: int) -> str:
    return interval_text(accuracy_interval(recall, images))


def _confusion(confusion: np.ndarray, names: Sequence[str]) -> str:
    wrong = confusion - np.diag(np.diag(confusion))
    most = max(int(wrong.max()), 1)
    rows = ["<tr><th></th>" + "".join(f"<th>{escape(name)}</th>" for name in names) + "</tr>"]
    for true, name in enumerate(names):
        cells = []
        for said, count in enumerate(confusion[true].tolist()):
            shade = (
                f' style="background:rgba(213,94,0,{0.15 + 0.85 * count / most:.2f})"' if count and said != true else ""
            )
            cells.append(f"<td{shade}>{count or ''}</td>")
        rows.append(f"<tr><th>{escape(name)}</th>{''.join(cells)}</tr>")
    return f'<div class="wide"><table class="confusion">{"".join(rows)}</table></div>'


def _settings(records: Sequence[Record], names: Mapping[str, str]) -> list[str]:
    """All settings, and what they mean."""
    header = ["setting", *(names[r.run_id] if len(records) > 1 else "value" for r in records), "what it is"]
    rows = [
        [name, *(getattr(record.config, name) for record in records), field_help(name)]
        for name in TrainConfig.model_fields
    ]
    return ["<h2>Settings</h2>", _table(header, rows)]


def _figure(record: Record, name: str) -> str:
    value = record.figures[name]
    if value is None:
        return "–"
    if name.endswith("accuracy"):
        images = record.figures["test_images" if name.startswith("test") else "val_images"]
        return accuracy_text(value, int(images or 0))
    return f"{value:.1f}" if name.endswith("seconds") else f"{value:.4f}"


class _Html(str):
    """Markup, which is not escaped again."""


def _table(header: Sequence[str] | None, rows: Sequence[Sequence[Any]]) -> str:
    def cell(value: Any) -> str:
        if isinstance(value, _Html):
            return f"<td>{value}</td>"
        text = f"{value:g}" if isinstance(value, float) else str(value)
        kind = ' class="text"' if " " in text else ""
        return f"<td{kind}>{escape(text) or '–'}</td>"

    head = f"<tr>{''.join(f'<th>{escape(name)}</th>' for name in header)}</tr>" if header else ""
    lines = (f"<tr>{''.join(map(cell, row))}</tr>" for row in rows)
    return f'<div class="wide"><table>{head}{"".join(lines)}</table></div>'
