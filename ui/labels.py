"""Labels of models, of runs apart from each other, and of preparations of pictures, for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from mnist_core.data.dataset import dataset_title
from mnist_core.inference.interval import accuracy_text, interval_text, measured_interval
from mnist_core.runs.catalogue import Model
from mnist_core.runs.labels import run_label
from mnist_core.runs.run import Run
from mnist_core.training.events import StartEvent

PREPARATIONS = {
    "auto": "as its pictures suggest",
    "drawing": "as drawings",
    "whole": "as a whole",
}
PREPARED = {  # what it means, after the colon of "Pictures are prepared as …:"
    "drawing": "the ink is found, made light on dark, 20 of 28 pixels long and centred, as in MNIST.",
    "whole": "each is shrunk with its ground and colours as they are. Nothing is inverted, cropped or centred.",
    "unrecorded": "not recorded. A model of an earlier version learned from its images as they were stored, and reads "
    "every grey picture as a drawing: on pictures that were not stored like drawings it may be wrong. Train it again "
    "to have both alike.",
}


def preparation_words(preparation: str) -> str:
    """A sentence on how pictures become a model's input."""
    known = f" {PREPARATIONS[preparation]}" if preparation in PREPARATIONS else ""
    return f"**Preparation{known}**: {PREPARED[preparation]}"


def accuracy_words(metrics: Mapping[str, float], part: str) -> str:
    """The accuracy on `test` or `val` images and its 95 % interval, as far as known: `99.63% (99.49–99.73)`."""
    accuracy = metrics.get(f"{part}_accuracy")
    return "" if accuracy is None else accuracy_text(accuracy, int(metrics.get(f"{part}_images") or 0))


def interval_words(metrics: Mapping[str, float], part: str) -> str:
    """The ends of that interval in percent, `99.49–99.73`; empty where it is not known."""
    interval = measured_interval(metrics, part)
    return interval_text(interval) if interval else ""


def model_name(model: Model) -> str:
    """The name of a shipped model, the label of the run that made another."""
    return run_label(model.run) if model.run else model.id


def model_label(model: Model) -> str:
    """A model's name, what it learned from and its test accuracy."""
    origin = "" if model.run else " (comes with the lab)"
    test = accuracy_words(model.card.metrics, "test")
    said = f" · test {test}" if test else ""
    return f"{model_name(model)}{origin} · {dataset_title(model.card.dataset)}{said}"


def trained_words(start: StartEvent | None, title: str) -> str:
    """What is trained: `24,954 parameters on 1,221 images of digits by 2 processes`, or of a run to begin the data."""
    if start is None:
        return title
    together = f" by {start['processes']} processes" if start.get("processes", 1) > 1 else ""
    return f"{start['parameters']:,} parameters on {start['train_images']:,} images of {title}{together}"


def run_link(run: Run) -> str:
    """Where the run is shown, relative to any other page."""
    return f"train?{urlencode({'run': run.id})}"


def compare_link(runs: Sequence[Run]) -> str:
    """Where the runs stand side by side, relative to any other page."""
    return f"compare?{urlencode({'runs': ','.join(run.id for run in runs)}, safe=',')}"


def run_labels(runs: list[Run]) -> dict[str, str]:
    """Id → unique label: runs of the same second carry the last letters of their id."""
    labels = {run.id: run_label(run) for run in runs}
    count = Counter(labels.values())
    return {
        run_id: f"{label} ({run_id.rsplit('-', 1)[-1]})" if count[label] > 1 else label
        for run_id, label in labels.items()
    }
