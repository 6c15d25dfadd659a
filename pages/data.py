"""Data: what a network learns from. Samples, means, counts and the split, pixel values, augmentation."""

from functools import partial

import numpy as np
import streamlit as st

from mnist_core.config import TrainConfig, field_choices, field_help
from mnist_core.data.dataset import TITLES, Dataset
from mnist_core.data.loading import default_dataset, is_available
from mnist_core.data.mirrors import SOURCES
from mnist_core.data.splits import split
from mnist_core.data.statistics import class_counts, level_values, mean_images, moments, pixel_histogram, split_table
from mnist_core.figures.dataset import count_figure, held_out_figure, level_figure
from mnist_core.inference.interval import accuracy_interval, interval_text
from mnist_core.recipes import get_recipe
from mnist_core.system.settings import data_folder
from ui import actions, cache, page, warmup
from ui.labels import PREPARATIONS, preparation_words
from ui.live.chart import live_chart
from ui.widgets.dataset import choose_dataset, offer_download
from ui.widgets.images import pictures
from ui.widgets.settings import augmentation_knobs, split_knobs

page.begin("Data", "🗂️")
PARTS = ("training", "validation", "test")
FIRST, CLASSES = 40, 10  # how much of a split is drawn: that many images of that many classes
EXAMPLE = 0.99  # an accuracy, to say how far so many images bound it
NORMALIZATIONS = {"unit": "unit: 0 to 1", "standard": "standard: mean 0, deviation 1"}


@st.cache_data(show_spinner=False, max_entries=8)
def class_means(_data: Dataset, fingerprint: str) -> np.ndarray:
    return mean_images(_data.train_images, _data.train_labels, len(_data.classes))


@st.cache_data(show_spinner=False, max_entries=8)
def levels(_data: Dataset, fingerprint: str) -> np.ndarray:
    return pixel_histogram(_data.train_images)


@st.cache_data(show_spinner=False, max_entries=50)
def divided(_data: Dataset, fingerprints: str, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(3, K) counts of each part, and which of the first images of a class are held out. Raises DataError."""
    labels, kinds = _data.train_labels, len(_data.classes)
    train, validation = split(labels, fraction, seed)
    counts = [class_counts(part, kinds) for part in (labels[train], labels[validation], _data.test_labels)]
    return np.stack(counts), split_table(labels, validation, kinds, FIRST)


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


@st.fragment
def pixels(data: Dataset) -> None:
    st.subheader("Pixels before and after normalisation")
    kinds = field_choices("normalization")
    kind = st.segmented_control(
        "Normalisation",
        kinds,
        default=kinds[-1],
        required=True,
        format_func=NORMALIZATIONS.__getitem__,
        help=field_help("normalization"),
        key="normalization",
    )
    histogram = levels(data, data.train_fingerprint)
    colours = "" if data.shape.channels == 1 else " (red, green, blue)"
    panels = (
        ("**Before**: as stored", "stored", "level, 0 (dark) to 255 (bright)"),
        ("**After**: as the network gets them", kind or kinds[-1], "value"),
    )
    for column, (title, values_of, axis) in zip(st.columns(2, gap="large"), panels, strict=True):
        with column:
            values = level_values(histogram, values_of)
            means, deviations = (", ".join(f"{x:z.3f}" for x in part) for part in moments(histogram, values))
            st.markdown(f"{title}{colours}  \nmean **{means}**, standard deviation **{deviations}**")
            live_chart(level_figure(values, histogram, axis), f"{data.name}-{values_of}", height=280)
    st.caption(
        "All pixels of all training images. The scale is logarithmic, each line ten times the one below: otherwise "
        "the most frequent level would hide all others. Normalisation moves and stretches the axis and leaves the "
        "shape. A training measures mean and deviation on the part that it learns from, not on validation."
    )


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


def explore(data: Dataset) -> None:
    """The whole page for one dataset."""
    shape = data.shape
    st.caption(
        f"{len(data.train_labels):,} training and {len(data.test_labels):,} test images in {shape.classes} classes, "
        f"{shape.width}×{shape.height} pixels, {'grey' if shape.channels == 1 else 'colour'}."
    )
    st.caption(preparation_words(data.preparation))
    page.show_note(data.warning)
    # 'custom' is no recipe of the Train page, so these knobs are not those
    start = get_recipe("accurate").config(data.name).replace(recipe="custom")
    left, right = st.columns([1.35, 1], gap="large")
    with left:
        samples(data)
    with right:
        mean_per_class(data)
    parts(data, start)
    pixels(data)
    augmentation(data, start)


with page.errors_as_messages():
    present = default_dataset(data_folder())
    name = choose_dataset("Dataset", present, f"data-{present}", check=False)  # it is read below, once
    offer_download(name if name in SOURCES else "mnist", "data")
    if name is not None and is_available(name, data_folder()):
        preparation = "auto"
        if name not in TITLES:
            preparation = st.segmented_control(
                "Prepare its pictures",
                list(PREPARATIONS),
                default="auto",
                required=True,
                format_func=PREPARATIONS.__getitem__,
                help="For this page. A training has the same setting, under More settings; drawings and uploads are "
                "then prepared for its model in the same way.",
                key=f"preparation-{name}",
            )
        explore(cache.dataset(name, preparation=preparation or "auto"))
# last, since all else is on the page by now
with page.errors_as_messages():
    warmup.page_sent(actions.warm)
