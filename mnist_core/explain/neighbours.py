"""Neighbours: the training images that a network's own last features put nearest to an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from mnist_core.explain.activations import private_copy
from mnist_core.models.classifier import Classifier, to_unit
from mnist_core.system.progress import Progress

CHUNK = 500  # images at once


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest images, nearest first: (K,) int64 rows of the bank, (K,) float32 Euclidean distances."""

    rows: np.ndarray
    distances: np.ndarray


def last_layer(model: Classifier) -> nn.Module:
    """The last layer with weights, which turns features into scores."""
    return [m for m in model.net.modules() if isinstance(m, nn.Linear | nn.Conv2d)][-1]


def features(model: Classifier, images: np.ndarray, progress: Progress | None = None) -> np.ndarray:
    """(N, C, H, W) uint8 → (N, F) float32: what the last layer with weights is given."""
    kept: list[Tensor] = []
    model = private_copy(model)
    last_layer(model).register_forward_hook(lambda module, given, output: kept.append(given[0].flatten(1).cpu()))
    done = 0
    with torch.inference_mode():
        for chunk in np.split(images, range(CHUNK, len(images), CHUNK)):
            model(to_unit(chunk))
            done += len(chunk)
            if progress:
                progress(done / len(images))
    return torch.cat(kept).float().numpy()


def nearest(bank: np.ndarray, query: np.ndarray, count: int = 8) -> Neighbours:
    """(N, F) features of the bank and (F,) of one image → its `count` nearest, or all of a smaller bank."""
    distances = np.linalg.norm(bank - query, axis=1)
    rows = np.argsort(distances, kind="stable")[:count]
    return Neighbours(rows, distances[rows])
