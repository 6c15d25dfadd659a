"""What the server keeps of maps of test images, by weights, data and method. Torch is not needed."""

from __future__ import annotations

import numpy as np
import streamlit as st

from mnist_core.data.dataset import Dataset
from mnist_core.explain.projection import METHODS, Method, Projection, project
from mnist_core.runs.catalogue import Model, predictor
from ui.waiting import one_at_a_time

MOST = 10_000
"""Points on a map: of more test images so many are drawn at random."""
SEED = 0


def mapped_rows(count: int) -> np.ndarray:
    """(M,) rows, in their order, of the `count` test images that a map shows: all, or MOST at random."""
    if count <= MOST:
        return np.arange(count)
    return np.sort(np.random.default_rng(SEED).choice(count, MOST, replace=False))


@st.cache_resource(show_spinner=False, max_entries=2)  # 5 MB for 128 features of 10,000 images
def _features(_model: Model, weights: str, _images: np.ndarray, sha256: str) -> np.ndarray:
    with one_at_a_time(f"Reading {len(_images):,} test images with {_model.card.name} …") as progress:
        return predictor(_model).network.infer_with_features(_images, progress)[1]


@st.cache_resource(show_spinner=False, max_entries=4)  # t-SNE's takes 40 MB, to place a drawing
def _projection(_model: Model, weights: str, _images: np.ndarray, sha256: str, method: Method, seed: int) -> Projection:
    features = _features(_model, weights, _images, sha256)
    if method == "pca":
        return project(method, features, seed)
    with one_at_a_time(f"{METHODS[method]} of {len(features):,} images, about a minute for ten thousand …") as progress:
        return project(method, features, seed, progress)


def projection(model: Model, data: Dataset, method: Method) -> Projection:
    """The map of the test images of `mapped_rows`, with progress bars. Raises CheckpointError and DataError."""
    images = data.test_images[mapped_rows(len(data.test_images))]
    return _projection(model, model.card.weights_sha256, images, data.fingerprint, method, SEED)


@st.cache_data(show_spinner=False, max_entries=32)
def _place(
    _model: Model, weights: str, _projection: Projection, which: tuple[str, Method], _image: np.ndarray, pixels: bytes
) -> np.ndarray:
    _, features = predictor(_model).network.infer_with_features(_image)
    (found,) = _projection.project(features)
    return np.asarray(found)


def place_of(model: Model, data: Dataset, method: Method, image: np.ndarray) -> np.ndarray:
    """(2,) float32: where the map has a model's input (C, H, W) uint8. Raises CheckpointError and DataError."""
    on, which = projection(model, data, method), (data.fingerprint, method)
    place: np.ndarray = _place(model, model.card.weights_sha256, on, which, image[None], image.tobytes())
    return place
