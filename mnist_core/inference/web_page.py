"""A model as one HTML file that needs no server and no network: draw, and the model answers in the browser."""

from __future__ import annotations

import base64
import html
import json
from dataclasses import asdict
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from mnist_core.data.dataset import DIGITS, dataset_title
from mnist_core.errors import CheckpointError
from mnist_core.inference.interval import measured_interval
from mnist_core.models.architectures import describe
from mnist_core.models.card import Card
from mnist_core.models.checkpoint import Checkpoint, load_checkpoint
from mnist_core.models.layers import Layer, Sequential

MOST_BYTES = 1_000_000  # of weights
_PARTS = Path(__file__).with_name("page")
_SCRIPTS = ("network", "prepare", "draw")


def why_no_page(card: Card) -> str:
    """A sentence on why the model of `card` cannot be such a page; empty where it can.

    The page draws grey digits or letters and prepares them as drawings, and has to stay small.
    """
    if card.shape.channels != 1 or (card.shape.height, card.shape.width) != (28, 28) or card.preparation == "whole":
        return "A page to take home is drawn on, and this model reads pictures as a whole: export it as ONNX."
    if 4 * card.parameters > MOST_BYTES:
        return (
            f"The model has {4 * card.parameters / 1e6:.1f} MB of weights, and a page to take home up to "
            f"{MOST_BYTES / 1e6:.0f} MB: export it as ONNX, or train a smaller network."
        )
    return ""


def web_page(folder: Path) -> bytes:
    """The checkpoint in `folder` as an HTML file, UTF-8. Raises CheckpointError, also where `why_no_page` says why."""
    checkpoint = load_checkpoint(folder)
    card = checkpoint.card
    if reason := why_no_page(card):
        raise CheckpointError(reason)
    scripts = {name: (_PARTS / f"{name}.js").read_text(encoding="utf-8") for name in _SCRIPTS}
    page = Template((_PARTS / "page.html").read_text(encoding="utf-8"))
    return page.substitute(
        title=html.escape(f"{card.name}: a model to draw at"),
        about=html.escape(_about(card)),
        model=_in_html(_model(checkpoint)),
        **scripts,
    ).encode()


def _model(checkpoint: Checkpoint) -> dict[str, Any]:
    """What the page's scripts read."""
    card = checkpoint.card
    tensors: dict[str, tuple[int, int]] = {}
    parts: list[np.ndarray] = []
    for name, values in checkpoint.weights.items():
        if not name.endswith("num_batches_tracked"):
            tensors[name] = sum(map(len, parts)), values.size
            parts.append(values.astype("<f4").ravel())
    digits = tuple(card.classes) == DIGITS
    return {
        "classes": card.classes,
        "what": "a digit" if digits else "one of these",
        "mean": card.mean,
        "std": card.std,
        "temperature": card.temperature,
        "refuse_by": card.refuse_by,
        "refuse_below": card.refuse_below,
        "layers": _described(describe(card.network, card.shape))["layers"],
        "tensors": tensors,
        "content": base64.b64encode(np.concatenate(parts).tobytes()).decode(),
    }


def _described(layer: Layer) -> dict[str, Any]:
    kind = {"type": type(layer).__name__}
    if isinstance(layer, Sequential):
        return {**kind, "layers": [_described(inner) for inner in layer.layers]}
    return {**kind, **asdict(layer)}


def _about(card: Card) -> str:
    """A line on the model: what it learned from, and how good it is."""
    words = [f"{card.parameters:,} parameters, learned from {dataset_title(card.dataset)}."]
    accuracy, interval = card.metrics.get("test_accuracy"), measured_interval(card.metrics, "test")
    if accuracy is not None:
        between = f" (95 % interval {interval[0]:.2%} to {interval[1]:.2%})" if interval else ""
        words.append(f"Of the test images it reads {accuracy:.2%} right{between}; your hand may differ from theirs.")
    words.append("Made with MNIST Lab. Nothing that you draw leaves this page.")
    return " ".join(words)


def _in_html(value: Any) -> str:
    """JSON that may stand in a script element: without the signs that could end it."""
    return json.dumps(value, ensure_ascii=True).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
