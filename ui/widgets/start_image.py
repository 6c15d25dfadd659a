"""An image as the beginning of a drawing: by a link such as `/draw?image=test:1234`, or from another page."""

from __future__ import annotations

import re

import numpy as np
import streamlit as st

from mnist_core.runs.catalogue import Model
from ui import page
from ui.widgets import canvas

KEY = "start_image"
"""Of the session state: an (H, W) uint8 image, light on dark, with which the next visit of Draw begins."""


def take_image(model: Model) -> None:
    """The image that was left under KEY, or that the address names, becomes the drawing. Raises DataError.

    `?image=test:N` is the test image N, from 0, of what the model learned from; `train:N` one of its training images.
    """
    wanted, image = st.query_params.pop("image", None), st.session_state.pop(KEY, None)
    if wanted is not None:
        image = _named(wanted, model)
        if image is None:
            st.warning(
                f"There is no image '{page.escape_markdown(wanted[:60])}' to draw on. A link names one as test:12, "
                "by its number among the test images of a model that reads grey pictures."
            )
    if image is not None:
        canvas.begin_with_image(image)


def _named(name: str, model: Model) -> np.ndarray | None:
    """(H, W) uint8, light on dark as on the canvas; None for a name without image."""
    found = re.fullmatch(r"(test|train):(\d{1,9})", name, re.ASCII)
    if found is None or model.card.shape.channels != 1:
        return None
    from ui.cache import dataset

    data = dataset(model.card.dataset, model)
    images = data.test_images if found[1] == "test" else data.train_images
    number = int(found[2])
    if number >= len(images):
        return None
    image: np.ndarray = images[number, 0]
    light = model.card.light_ground
    return 255 - image if light else image
