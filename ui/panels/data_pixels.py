"""The levels of a dataset's pixels, before and after normalisation."""

from __future__ import annotations

import numpy as np
import streamlit as st

from mnist_core.config import field_choices, field_help
from mnist_core.data.dataset import Dataset
from mnist_core.data.statistics import level_values, moments, pixel_histogram
from mnist_core.figures.dataset import level_figure
from ui.live.chart import live_chart

NORMALIZATIONS = {"unit": "unit: 0 to 1", "standard": "standard: mean 0, deviation 1"}


@st.cache_data(show_spinner=False, max_entries=8)
def levels(_data: Dataset, fingerprint: str) -> np.ndarray:
    return pixel_histogram(_data.train_images)


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
