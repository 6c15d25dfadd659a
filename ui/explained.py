"""What the server keeps of looks inside models, by weights and image or dataset; heavy ones wait for each other."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import streamlit as st

from mnist_core.data.dataset import Dataset
from mnist_core.explain.activations import Activation, activations
from mnist_core.explain.adversarial import Attack, attack, smallest_strength
from mnist_core.explain.adversarial import Method as AttackMethod
from mnist_core.explain.counterfactual import Edit, smallest_edit
from mnist_core.explain.maximisation import Maximised, maximise, most_exciting
from mnist_core.explain.neighbours import features
from mnist_core.explain.saliency import Method, Saliency, saliency
from mnist_core.models.classifier import Classifier
from mnist_core.runs.catalogue import Model, predictor
from mnist_core.system.device import serve_with_one_thread, threads
from mnist_core.system.progress import Progress
from ui.waiting import one_at_a_time, progress_soon


def network(model: Model) -> Classifier:
    """The loaded network, in torch. Raises CheckpointError."""
    serve_with_one_thread()
    return predictor(model).checkpoint.model


def _key(model: Model) -> tuple[str, float]:
    return model.card.weights_sha256, model.card.temperature


@contextlib.contextmanager
def one_at_a_time_with_threads(text: str) -> Iterator[Progress]:
    """As in waiting.py, with all of torch's threads."""
    with one_at_a_time(text) as show, threads():
        yield show


@st.cache_resource(show_spinner=False, max_entries=8)  # megabytes each
def _layers(_model: Model, key: tuple[str, float], _image: np.ndarray, pixels: bytes) -> list[Activation]:
    return activations(network(_model), _image)


def layers(model: Model, image: np.ndarray) -> list[Activation]:
    """Every layer's answer to a model's input. Raises CheckpointError."""
    return _layers(model, _key(model), image, image.tobytes())


@st.cache_resource(show_spinner=False, max_entries=64)
def _saliency(
    _model: Model,
    key: tuple[str, float],
    _image: np.ndarray,
    pixels: bytes,
    method: Method,
    target: int,
    layer: str | None,
) -> Saliency:
    with progress_soon("Asking the network about its pixels …"):
        return saliency(network(_model), _image, method, target, layer)


def saliency_map(model: Model, image: np.ndarray, method: Method, target: int, layer: str | None = None) -> Saliency:
    """The saliency of a model's input for a class. Raises ConfigError and CheckpointError."""
    return _saliency(model, _key(model), image, image.tobytes(), method, target, layer)


@st.cache_resource(show_spinner=False, max_entries=32)
def _edit(_model: Model, key: tuple[str, float], _image: np.ndarray, pixels: bytes, target: int | None) -> Edit | None:
    with progress_soon("Looking for the smallest edit …"):
        return smallest_edit(network(_model), _image, target)


def edit(model: Model, image: np.ndarray, target: int | None = None) -> Edit | None:
    """The smallest edit found that makes `target`, or any other class, the answer."""
    return _edit(model, _key(model), image, image.tobytes(), target)


@st.cache_resource(show_spinner=False, max_entries=64)
def _strength(
    _model: Model, key: tuple[str, float], _image: np.ndarray, pixels: bytes, method: AttackMethod
) -> int | None:
    with one_at_a_time("Looking for the weakest attack that works …") as progress:
        return smallest_strength(network(_model), _image, method, progress)


def weakest_attack(model: Model, image: np.ndarray, method: AttackMethod) -> int | None:
    """The smallest strength found, in grey levels of 255, at which the attack changes the answer to a model's input."""
    return _strength(model, _key(model), image, image.tobytes(), method)


@st.cache_resource(show_spinner=False, max_entries=64)
def _attacked(
    _model: Model, key: tuple[str, float], _image: np.ndarray, pixels: bytes, method: AttackMethod, strength: int
) -> Attack:
    with progress_soon("Attacking the image …"):
        return attack(network(_model), _image, method, (strength,))


def attacked(model: Model, image: np.ndarray, method: AttackMethod, strength: int) -> Attack:
    """A model's input before and after an attack of `strength` grey levels of 255."""
    return _attacked(model, _key(model), image, image.tobytes(), method, strength)


@st.cache_resource(show_spinner=False, max_entries=64)
def _maximised(_model: Model, key: tuple[str, float], layer: str, unit: int) -> Maximised:
    with progress_soon("Looking for the picture that excites it most …"):
        return maximise(network(_model), layer, unit, _model.card.shape)


def maximised(model: Model, layer: str, unit: int) -> Maximised:
    """The picture that activation maximisation finds for a unit, from seed 0. Raises ConfigError."""
    return _maximised(model, _key(model), layer, unit)


@st.cache_resource(show_spinner=False, max_entries=16)
def _exciting(_model: Model, key: tuple[str, float], layer: str, _images: np.ndarray, sha256: str) -> np.ndarray:
    with one_at_a_time_with_threads(f"Showing {len(_images):,} test images to the layer …") as progress:
        return most_exciting(network(_model), layer, _images, progress=progress)[0]


def exciting(model: Model, layer: str, data: Dataset) -> np.ndarray:
    """(units, 9) rows of the test images that excite each unit of a layer most."""
    return _exciting(model, _key(model), layer, data.test_images, data.fingerprint)


@st.cache_resource(show_spinner=False, max_entries=2)
def _bank(_model: Model, key: tuple[str, float], _images: np.ndarray, sha256: str) -> np.ndarray:
    with one_at_a_time_with_threads(f"Reading {len(_images):,} training images with {_model.card.name} …") as progress:
        return features(network(_model), _images, progress)


def bank(model: Model, data: Dataset) -> np.ndarray:
    """(N, F) last features of the training images."""
    return _bank(model, _key(model), data.train_images, data.train_fingerprint)
