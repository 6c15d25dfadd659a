"""Rows of small images with captions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from mnist_core.figures.images import as_picture, enlarge


def pictures(images: np.ndarray, captions: Sequence[str | None], width: int = 96) -> None:
    """(N, C, H, W) uint8 → images of `width` CSS px, small ones enlarged by whole factors to show their pixels."""
    factor = max(2 * width // max(images.shape[2:]), 1)
    with st.container(horizontal=True, gap="small"):
        for image, caption in zip(images, captions, strict=True):
            # not JPEG, Streamlit's default, which blurs the edges between pixels
            st.image(enlarge(as_picture(image), factor), caption, width=width, output_format="PNG")
