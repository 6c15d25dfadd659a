"""The forms in which a model leaves the lab for something else: each a file name, and what makes the file."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mnist_core.errors import ConfigError, LabError
from mnist_core.experiments.hub_card import hub_card
from mnist_core.experiments.notebook import notebook
from mnist_core.experiments.script import script, why_not
from mnist_core.inference.web_page import web_page, why_no_page
from mnist_core.models.card import Card
from mnist_core.models.checkpoint import CARD, WEIGHTS, read_card
from mnist_core.runs.history import HistoryReader
from mnist_core.runs.labels import run_label
from mnist_core.runs.run import Run

Files = dict[str, bytes]  # name → content


@dataclass(frozen=True)
class Format:
    """One form: a sentence on it, what makes its files of a checkpoint's folder, and why it cannot, if it cannot."""

    said: str
    make: Callable[[Path], Files]
    why_not: Callable[[Card], str] = lambda card: ""


def run_of(folder: Path) -> Run | None:
    """The run to which a checkpoint's folder belongs; None where it is no run's."""
    run = Run(folder.resolve().parent.parent)
    return run if run.config_path.is_file() and run.metrics_path.is_file() else None


def _script(folder: Path) -> Files:
    return {"train.py": script(read_card(folder)).encode()}


def _notebook(folder: Path) -> Files:
    run, history = run_of(folder), None
    if run is not None:
        try:
            history = HistoryReader(run).history()
        except LabError:
            history = None  # then without curves
    return {"train.ipynb": notebook(read_card(folder), history)}


def _hub(folder: Path) -> Files:
    return {
        "README.md": hub_card(read_card(folder)),
        **{name: (folder / name).read_bytes() for name in (CARD, WEIGHTS)},
    }


def _onnx(folder: Path) -> Files:
    from mnist_core.inference.onnx_file import onnx_file  # imports torch, to compare

    return {"model.onnx": onnx_file(folder)}


def _page(folder: Path) -> Files:
    return {"model.html": web_page(folder)}


def _report(folder: Path) -> Files:
    from mnist_core.experiments.report import run_report  # imports what evaluates models

    run = run_of(folder)
    if run is None:
        raise ConfigError(f"{folder} belongs to no run, so there is nothing to report: give the checkpoint of a run.")
    return {"report.html": run_report(run, run_label(run))}


def packed(files: Files, folder: str) -> bytes:
    """Files as one .zip, in a folder of that name."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in files.items():
            target.writestr(f"{folder}/{name}", content)
    return archive.getvalue()


FORMATS = {
    "html": Format(
        "A page to draw at, which needs neither a server nor a network: open it in a browser.", _page, why_no_page
    ),
    "onnx": Format("For other programs. ONNX Runtime gives the probabilities of torch, which was checked.", _onnx),
    "report": Format("One page with the run's curves, confusions, mistakes and settings.", _report),
    "script": Format(
        "One file for torch and torchvision alone: the same network, data and settings.",
        _script,
        lambda card: why_not(card.config),
    ),
    "notebook": Format(
        "The same for Jupyter, cell by cell, with the curves.",
        _notebook,
        lambda card: why_not(card.config),
    ),
    "card": Format("The weights with a README.md, as the Hugging Face Hub shows it.", _hub),
}
