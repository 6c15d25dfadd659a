"""What the server keeps between reruns: workers, loaded models, data, evaluations."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from mnist_core.config import TrainConfig
from mnist_core.data.dataset import Dataset, dataset_title
from mnist_core.data.loading import load_dataset
from mnist_core.runs.catalogue import Model, predictor
from mnist_core.runs.measurement import Measurements
from mnist_core.runs.pool import WorkerPool
from mnist_core.system.settings import data_folder, runs_folder

if TYPE_CHECKING:
    from mnist_core.inference.metrics import Evaluation


_pools: dict[tuple[Path, Path], WorkerPool] = {}
_making_pool = threading.Lock()
_measurements = Measurements()


def workers() -> WorkerPool:
    """The server's workers for the present folders."""
    folders = runs_folder(), data_folder()
    with _making_pool:
        return _pools.setdefault(folders, WorkerPool(*folders))


def measurements() -> Measurements:
    """What pages measure before a training, and have measured."""
    return _measurements


def close_workers() -> None:
    """Lets idle workers end, and busy ones after the last run that waits; ends measurements."""
    _measurements.close()
    with _making_pool:
        while _pools:
            _pools.popitem()[1].close()


def dataset(name: str, model: Model | None = None, preparation: str = "auto", mapping: str = "") -> Dataset:
    """The dataset, from memory after the first time; what is slow to read shows its progress. Raises DataError.

    With a `model` its images are prepared as that model's were, and it is split as that model's training split it,
    where it is the one that the model learned from. Its classes are the model's; `mapping` is "theirs=mine,…" for
    names that differ. Raises ClassesError where they are others.
    """
    with contextlib.ExitStack() as shown:
        bar = None

        def show(share: float) -> None:
            nonlocal bar
            if bar is None:  # not before: in memory already, nothing may flash up
                bar = st.progress(0.0)
                shown.callback(bar.empty)
            bar.progress(share, f"Reading {dataset_title(name)} …")

        if model is not None:
            from mnist_core.data.prepare import load_for

            card = model.card
            return load_for(
                card.config,
                data_folder(),
                show,
                dataset=name,
                shape=card.shape,
                classes=card.classes,
                mapping=mapping,
            )
        return load_dataset(name, data_folder(), show, preparation)


@st.cache_data(show_spinner=False, max_entries=200)
def measured_seconds(config: TrainConfig) -> float:
    """How long the training takes here, from a few of its steps. Validation adds about a tenth of a step an image."""
    data = dataset(config.dataset, preparation=config.preparation)
    seconds: float = workers().call("training.profile:seconds_per_image", config, data.shape)
    return seconds * len(data.train_labels) * config.train_share * config.epochs


@st.cache_data(show_spinner=False, max_entries=50)
def augmented(_image: np.ndarray, pixels: bytes, config: TrainConfig, count: int, seed: int) -> np.ndarray:
    """(C, H, W) uint8 → (count, C, H, W) uint8, as a training with `config` might meet it. `pixels`: the image's."""
    found: np.ndarray = workers().call("data.augment:variants", _image, config, count, seed)
    return found


@st.cache_resource(show_spinner=False, max_entries=16)
def _evaluation(_model: Model, _data: Dataset, weights: tuple[str, float], data_sha256: str) -> Evaluation:
    from mnist_core.inference.metrics import evaluate

    bar = st.progress(0.0, f"Reading {len(_data.test_labels):,} test images with {_model.card.name} …")

    def show(share: float) -> None:
        bar.progress(share)

    result = evaluate(predictor(_model).network, _data.test_images, _data.test_labels, show)
    bar.empty()
    return result


def evaluation(model: Model, data: Dataset) -> Evaluation:
    """The model's answers to the test images, kept by weights and data. Raises CheckpointError."""
    return _evaluation(model, data, (model.card.weights_sha256, model.card.temperature), data.fingerprint)
