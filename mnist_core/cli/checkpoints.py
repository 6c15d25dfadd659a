"""Commands on a checkpoint: evaluate, predict, explain, export."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from mnist_core.cli.exports import export_files
from mnist_core.cli.output import print_note, print_result, progress_bar
from mnist_core.errors import ConfigError, DrawingError


def run_evaluate(options: argparse.Namespace) -> None:
    from mnist_core.data.prepare import load_for
    from mnist_core.data.splits import train_and_validation
    from mnist_core.inference.calibration import reliability
    from mnist_core.inference.corruptions import get_corruption
    from mnist_core.inference.interval import interval_text
    from mnist_core.inference.metrics import evaluate
    from mnist_core.inference.predictor import Predictor
    from mnist_core.inference.robustness import robustness, verdict

    predictor = Predictor(options.checkpoint)
    card = predictor.card
    kind = get_corruption(options.corruption, card.shape.channels) if options.corruption else None
    data = load_for(
        card.config,
        options.data_dir,
        dataset=options.dataset,
        shape=card.shape,
        classes=card.classes,
        mapping=options.classes,
    )
    card.require(data.shape, data.title)
    print_note(data.warning)
    if options.split == "test":
        images, labels = data.test_images, data.test_labels
    else:
        rows = train_and_validation(data, card.config)[options.split == "validation"]
        images, labels = data.train_images[rows], data.train_labels[rows]
    with progress_bar("evaluating") as progress:
        result = evaluate(predictor.network, images, labels, progress)
    rejections = predictor.rejections(images, result.probabilities)
    summary: dict[str, Any] = {
        "dataset": data.name,
        "split": options.split,
        "n": len(labels),
        "accuracy": result.accuracy,
        "loss": result.loss,
        "weighted_f1": result.weighted_f1,
        "per_class": [
            {"label": data.classes[c.label], "precision": c.precision, "recall": c.recall, "f1": c.f1, "n": c.support}
            for c in result.per_class
        ],
        "confusion": result.confusion.tolist(),
        "ece": reliability(result.confidence, result.predicted == result.labels).error,
        "refused": sum(rejection is not None for rejection in rejections) / len(labels),
        "accuracy_interval": result.accuracy_interval,
    }
    text = (
        f"{card.name} on {data.name} ({options.split}, {len(labels):,} images): "
        f"accuracy {result.accuracy:.2%} (95 % interval {interval_text(result.accuracy_interval)}), "
        f"loss {result.loss:.4f}, weighted F1 {result.weighted_f1:.4f}, "
        f"calibration error {summary['ece']:.4f}, refused {summary['refused']:.2%}"
    )
    if kind is not None:
        with progress_bar(kind.title) as progress:
            found = robustness(predictor.network, images, labels, kind.name, progress)
        summary["corruption"] = found.record()
        text += f"\n{kind.title}: {verdict(found)}"
    print_result(options, summary, text)


def run_predict(options: argparse.Namespace) -> None:
    from mnist_core.data.inputs import inputs
    from mnist_core.inference.numbers import read_number
    from mnist_core.inference.predictor import Predictor

    predictor = Predictor(options.checkpoint)
    pictures = list(inputs(options.pictures))
    unread = 0
    for picture in pictures:
        try:
            reading = read_number(predictor, picture.read())
        except DrawingError as error:
            if len(pictures) == 1:
                raise
            print(f"error: {picture.path}: {error}", file=sys.stderr)
            unread += 1
            continue
        print(json.dumps({"path": picture.path, **reading.record()}), flush=True)
    if unread:
        raise DrawingError(f"{unread} of {len(pictures)} pictures could not be read; the others are above.")


def run_explain(options: argparse.Namespace) -> None:
    import numpy as np

    from mnist_core.data.inputs import inputs
    from mnist_core.explain.faithfulness import shown_methods
    from mnist_core.explain.saliency import saliency
    from mnist_core.inference.predictor import Predictor

    predictor = Predictor(options.checkpoint)
    picture, *further = inputs([options.picture])
    if further:
        raise ConfigError(f"{options.picture} has {len(further) + 1} pictures: explain takes one.")
    image = predictor.prepare(picture.read())
    if image is None:
        raise DrawingError(f"There is nothing to read in {picture.path}: no stroke stands out from its ground.")
    if options.method not in shown_methods(predictor.card.weights_sha256):
        print_note(
            f"on this model {options.method} failed the test of benchmarks/faithfulness.py: blanking what it marks did "
            "not matter more than blanking ink at random. The pages do not offer it."
        )
    found = saliency(predictor.checkpoint.model, image, options.method, options.target)
    summary = {
        "target": found.target,
        "method": found.method,
        "map": found.map.tolist(),
        "completeness_error": found.completeness_error,
    }
    row, column = (int(place) for place in np.unravel_index(found.map.argmax(), found.map.shape))
    print_result(
        options,
        summary,
        f"{found.method} for class {predictor.card.classes[found.target]}: its score is {found.score:.3f}, that of an "
        f"empty picture {found.baseline_score:.3f}. The pixel in row {row}, column {column} speaks for it most. "
        "--json prints the map.",
    )


def run_export(options: argparse.Namespace) -> None:
    if options.format != "checkpoint":
        export_files(options)
        return
    from mnist_core.models.card import read_about
    from mnist_core.models.checkpoint import find_checkpoint, load_checkpoint, save_checkpoint, update_card

    checkpoint = load_checkpoint(find_checkpoint(options.checkpoint))
    folder = Path(options.folder)
    about = read_about(Path(options.about)) if options.about else checkpoint.card.about
    if folder.exists():
        raise ConfigError(f"{folder} is there already: choose another folder or remove it.")
    measured = {"weights_sha256", "parameters", "mean", "std", "versions"}  # of the weights, taken anew or kept
    kept = checkpoint.card.model_dump(exclude={*measured, "name", "summary", "about"})
    try:
        card = save_checkpoint(folder, checkpoint.model, **kept, name=folder.name, summary=options.summary, about=about)
        update_card(folder, versions=checkpoint.card.versions)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written ({error.strerror}).") from None
    print_result(options, {"checkpoint": str(folder), "parameters": card.parameters}, f"The model is in {folder}.")
