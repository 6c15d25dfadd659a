"""Export of a run: one .zip with its model, settings and measurements, and the command that repeats it."""

from __future__ import annotations

import csv
import io
import shlex
import zipfile
from typing import TextIO

from mnist_core.config import TrainConfig
from mnist_core.errors import RunError
from mnist_core.models.checkpoint import CARD, WEIGHTS
from mnist_core.recipes import RECIPES
from mnist_core.runs.replay import field_names, replay
from mnist_core.runs.run import Run
from mnist_core.runs.weight_snapshots import FOLDER, snapshots

README = """Run {run_id} of MNIST Lab

config.json        the settings that the training began with; card.json has those of its end, and the changes
model.safetensors  the trained weights (read them with the safetensors package)
card.json          what the weights are: architecture, classes, normalisation, metrics, SHA-256
metrics.csv        what was measured, a row per event: losses in nats, accuracies from 0 to 1, times in seconds
snapshots          the weights during the training, where it kept them (setting `snapshots`)
README.txt         this file

To repeat the training, in the lab's folder (one line, quoted for a POSIX shell such as bash):

{command}

To measure the model again, with this archive unpacked into the folder {run_id}:

python -m mnist_core evaluate {run_id}
"""


def command(config: TrainConfig) -> str:
    """The shell command that trains with exactly `config`, naming only what differs from its recipe's settings."""
    recipe = RECIPES.get(config.recipe, RECIPES["quick"])
    words = ["python", "-m", "mnist_core", "train", "--recipe", recipe.name, "--dataset", config.dataset]
    for name, value in config.differences(recipe.config(config.dataset)).items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        words += ["--set", f"{name}={text}"]
    return shlex.join(words)


def bundle(run: Run) -> bytes:
    """The run as a .zip: config.json, card.json, model.safetensors, metrics.csv, README.txt, and its snapshots.

    Raises RunError when the run has no checkpoint (yet), or its files cannot be read.
    """
    config, checkpoint = run.config(), run.checkpoint()
    if checkpoint is None:
        raise RunError(f"Run {run.id} has no model to bundle: it has not finished an epoch.")
    archive = io.BytesIO()
    try:
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as bundled:
            bundled.write(run.folder / "config.json", "config.json")
            bundled.write(checkpoint / CARD, CARD)
            bundled.write(checkpoint / WEIGHTS, WEIGHTS)
            with bundled.open("metrics.csv", "w") as file, io.TextIOWrapper(file, "utf-8", newline="") as text:
                write_events(run, text)
            for path in snapshots(run).values():
                bundled.write(path, f"{FOLDER}/{path.name}", zipfile.ZIP_STORED)  # weights do not become smaller
            bundled.writestr("README.txt", README.format(run_id=run.id, command=command(config)))
    except OSError as error:
        raise RunError(f"Run {run.id} cannot be bundled: {error.filename} cannot be read ({error.strerror}).") from None
    return archive.getvalue()


def write_events(run: Run, text: TextIO) -> None:
    """The events as CSV, a row each; a field that an event does not have is an empty cell. Raises OSError."""
    writer = csv.DictWriter(text, field_names(run), lineterminator="\n")
    writer.writeheader()
    writer.writerows(replay(run))
