"""Images of a dataset: a sample, the mean of each class, and what augmentation makes of one."""

from __future__ import annotations

from functools import partial

import numpy as np
import streamlit as st

from mnist_core.config import TrainConfig
from mnist_core.data.dataset import Dataset
from mnist_core.data.statistics import mean_images
from ui import actions, cache, page
from ui.widgets.images import pictures
from ui.widgets.settings import augmentation_knobs


@st.cache_data(show_spinner=False, max_entries=8)
def class_means(_data: Dataset, fingerprint: str) -> np.ndarray:
    return mean_images(_data.train_images, _data.train_labels, len(_data.classes))


def shuffle(label: str, key: str) -> int:
    """A button, and how often it was pressed: a seed."""
    pressed = st.button(label, icon=":material/shuffle:", key=f"{key}-button")
    seed = int(st.session_state.get(key, 0)) + pressed
    st.session_state[key] = seed
    return seed


def choose_images(data: Dataset, choices: list[str], key: str) -> np.ndarray:
    """A box over `choices` → the training images of that class; of all where it is no class."""
    chosen = st.selectbox("Class", choices, key=f"{key}-{data.name}", width=200)
    labels = data.train_labels
    if chosen not in data.classes:
        return np.arange(len(labels))
    return np.flatnonzero(labels == data.classes.index(chosen))


@st.fragment
def samples(data: Dataset) -> None:
    st.subheader("25 at random")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        rows = choose_images(data, ["all classes", *data.classes], "sample")
        seed = shuffle("Reshuffle", "sample-seed")
    if len(rows):
        chosen = np.random.default_rng(seed).choice(rows, min(25, len(rows)), replace=False)
        names = [data.classes[i] for i in data.train_labels[chosen]]
        pictures(data.train_images[chosen], names, width=56 if max(map(len, data.classes)) < 5 else 84)
    else:
        st.caption("There is no training image of this class.")


def mean_per_class(data: Dataset) -> None:
    st.subheader("The mean of each class")
    st.caption(
        "All training images of a class laid over each other: sharp where they agree, blurred where they differ."
    )
    many = len(data.classes) > 20
    with st.container(height=330 if many else "content", border=many):
        pictures(class_means(data, data.train_fingerprint), data.classes, width=76)


@st.fragment
def augmentation(data: Dataset, start: TrainConfig) -> None:
    st.subheader("What augmentation does to an image")
    knobs, images = st.columns([1, 2], gap="large")
    with page.errors_as_messages():
        with knobs:
            with st.container(horizontal=True, vertical_alignment="bottom"):
                rows = choose_images(data, list(data.classes), "augmented")
                which = shuffle("Another image", "augmented-image")
            config = augmentation_knobs(start)
        with images:
            if not len(rows):
                st.caption("There is no training image of this class.")
                return
            seed = shuffle("Reshuffle", "augmented-seed")
            image = data.train_images[rows[which % len(rows)]]
            page.when_ready(
                partial(show_augmented, image, config, seed),
                actions.settled,
                partial(st.caption, "The images appear in a moment: the process that makes them is being started."),
            )


def show_augmented(image: np.ndarray, config: TrainConfig, seed: int) -> None:
    """An image, and 15 of the images that a training with `config` might meet in its place."""
    drawn = cache.augmented(image, image.tobytes(), config, 15, seed)
    pictures(np.concatenate([image[None], drawn]), ["original", *[None] * len(drawn)], width=76)
    st.caption(
        "Each time a training meets an image, it draws such a variant anew, within ± the knobs: so the network "
        "cannot learn single images by heart. Validation and test images stay as they are. The knobs begin "
        "where the recipe Accurate of the Train page has them."
    )
