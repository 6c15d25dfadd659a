"""A checkpoint as an ONNX file for other programs, handed out only after ONNX Runtime and torch agree on it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime

from mnist_core.errors import CheckpointError
from mnist_core.inference.predictor import resized
from mnist_core.models.card import Card
from mnist_core.models.checkpoint import Checkpoint, load_checkpoint
from mnist_core.models.onnx_graph import INPUT, onnx_model

CHECKED_IMAGES = 1000
TOLERANCE = 1e-4  # of a probability


def onnx_file(folder: Path) -> bytes:
    """The checkpoint in `folder` as ONNX: `images` (N, C, H, W) float32 in [0, 1] → `probabilities` (N, classes).

    Normalisation, temperature and softmax are inside. Its metadata has what a reader needs besides: see `metadata`.
    Raises CheckpointError, also where ONNX Runtime and torch disagree on any of CHECKED_IMAGES images.
    """
    checkpoint = load_checkpoint(folder)
    card = checkpoint.card
    settings = card.network, card.shape, checkpoint.weights, card.mean, card.std, card.temperature
    model = onnx_model(*settings, output="probabilities")
    for name, value in metadata(card).items():
        model.metadata_props.add(key=name, value=value)
    content: bytes = model.SerializeToString()
    furthest = difference(content, checkpoint)
    if not furthest <= TOLERANCE:
        raise CheckpointError(
            f"The ONNX file of {card.name} is not handed out: its probabilities differ from the model's by up to "
            f"{furthest:.2g}. Report it with the model's folder."
        )
    return content


def metadata(card: Card) -> dict[str, str]:
    """What the file says of itself: name, classes (JSON), how a picture becomes its input, origin and figures."""
    return {
        "name": card.name,
        "classes": json.dumps(card.classes, ensure_ascii=False),
        "input": "float32 (N, channels, height, width), pixels from 0 to 1",
        "preparation": card.preparation,
        "ground": "light" if card.light_ground else "dark",
        "dataset": card.dataset,
        "architecture": card.architecture,
        "metrics": json.dumps(card.metrics),
        "refuse_by": card.refuse_by,
        "refuse_below": str(card.refuse_below),
        "weights_sha256": card.weights_sha256,
    }


def difference(content: bytes, checkpoint: Checkpoint) -> float:
    """The largest difference of a probability between the ONNX file and the checkpoint in torch.

    They are asked about CHECKED_IMAGES images: scikit-learn's digits in the size of the model's images, and noise.
    """
    import torch

    from mnist_core.data.loading import load_dataset
    from mnist_core.models.classifier import to_unit

    shape = checkpoint.card.shape
    size = shape.height, shape.width
    digits = load_dataset("digits").train_images[: CHECKED_IMAGES // 2]
    fitted = resized(digits, *size).round().astype(np.uint8)
    drawn = np.repeat(fitted, shape.channels, axis=1)
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (CHECKED_IMAGES - len(drawn), shape.channels, *size), dtype=np.uint8)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    furthest = 0.0
    for images in np.array_split(np.concatenate([drawn, noise]), 10):
        batch = to_unit(images)
        with torch.inference_mode():
            expected = checkpoint.model(batch).softmax(dim=1).numpy()
        found = session.run(None, {INPUT: np.ascontiguousarray(batch.numpy())})[0]
        furthest = max(furthest, float(np.abs(found - expected).max()))
    return furthest
