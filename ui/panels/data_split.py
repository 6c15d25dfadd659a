"""How many images of each class there are, and how they are split."""

from __future__ import annotations

import numpy as np
import streamlit as st

from mnist_core.config import TrainConfig
from mnist_core.data.dataset import Dataset
from mnist_core.data.splits import split
from mnist_core.data.statistics import class_counts, split_table
from mnist_core.figures.dataset import count_figure, held_out_figure
from mnist_core.inference.interval import accuracy_interval, interval_text
from ui import page
from ui.live.chart import live_chart
from ui.widgets.settings import split_knobs

PARTS = ("training", "validation", "test")
FIRST, CLASSES = 40, 10  # how much of a split is drawn: that many images of that many classes
EXAMPLE = 0.99  # an accuracy, to say how far so many images bound it


@st.cache_data(show_spinner=False, max_entries=50)
def divided(_data: Dataset, fingerprints: str, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(3, K) counts of each part, and which of the first images of a class are held out. Raises DataError."""
    labels, kinds = _data.train_labels, len(_data.classes)
    train, validation = split(labels, fraction, seed)
    counts = [class_counts(part, kinds) for part in (labels[train], labels[validation], _data.test_labels)]
    return np.stack(counts), split_table(labels, validation, kinds, FIRST)


@st.fragment
def parts(data: Dataset, start: TrainConfig) -> None:
    st.subheader("How many of each, and how they are split")
    left, right = st.columns([1, 2], gap="large")
    with page.errors_as_messages():
        with left:
            config = split_knobs(start)
        fingerprints = data.train_fingerprint + data.fingerprint
        counts, first = divided(data, fingerprints, config.validation_fraction, config.seed)
        with left:
            count_table(data, counts)
        with right:
            purposes = (
                "What the weights are learned from.",
                "Held out to watch the training and to choose settings by. No weight is learned from it.",
                "Never touched while training: read once, at the end, to say how good the model is.",
            )
            with st.container(horizontal=True):
                for part, total, purpose in zip(PARTS, counts.sum(axis=1), purposes, strict=True):
                    st.metric(part.capitalize(), f"{total:,}", help=purpose, border=True, width=165)
            precision(counts)
            live_chart(count_figure(counts, PARTS, data.classes), f"{data.name}-counts", height=400)
        how_split(data, config, first)


def count_table(data: Dataset, counts: np.ndarray) -> None:
    """A row per class: how many images of it are in each part, and which share was held out."""
    train, validation, _ = counts
    columns = {"class": data.classes, **dict(zip(PARTS, counts, strict=True))}
    columns["held out"] = validation / np.maximum(train + validation, 1)
    formats = dict.fromkeys(PARTS, "localized") | {"held out": "percent"}
    st.dataframe(
        columns,
        hide_index=True,
        height=min(38 + 35 * len(data.classes), 388),
        column_config={name: st.column_config.NumberColumn(format=text) for name, text in formats.items()},
    )


def precision(counts: np.ndarray) -> None:
    """What so many images can say of an accuracy, which no page shows without this."""
    _, validation, test = (int(part) for part in counts.sum(axis=1))
    said = [
        f"**{interval_text(accuracy_interval(EXAMPLE, images))} %** with {images:,} {part} images"
        for part, images in (("validation", validation), ("test", test))
        if images
    ]
    if said:
        st.caption(
            f"What they can tell: where {EXAMPLE:.0%} are read right, the accuracy's 95 % interval (Wilson) is "
            f"{' and '.join(said)}. Four times the images halve it."
        )


def how_split(data: Dataset, config: TrainConfig, first: np.ndarray) -> None:
    """The first training images of a few classes, each in the colour of its part."""
    share = f"{config.validation_fraction:.1%}"
    st.markdown(
        f"Validation is **{share} of the training images**. They are drawn at random, but **stratified**: the same "
        "share of each class, as the last column of the table shows. And **seeded**: the same seed draws the same "
        "images, here and in every training; change it and see others drawn below. The test images have no part in "
        "this: they are a set of their own, never touched while training."
    )
    shown = min(CLASSES, len(data.classes))
    live_chart(held_out_figure(first[:shown], data.classes[:shown]), f"{data.name}-split", height=90 + 20 * shown)
    whose = "each class" if shown == len(data.classes) else f"{shown} of the classes"
    st.caption(f"The first {first.shape[1]} training images of {whose}: blue to learn from, orange for validation.")
