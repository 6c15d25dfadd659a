"""A photo in place of a drawing: from a file, from the clipboard or from the camera."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from mnist_core.drawing.images import MAX_BYTES, MAX_PIXELS, SUFFIXES, read_picture

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from mnist_core.inference.numbers import Reading

SOURCES = ("Upload", "Camera")
FRAME = (255, 75, 75)
_paste = st.components.v2.component(
    "mnist_lab.paste",
    html="<div></div>",
    js=(Path(__file__).resolve().parent / "paste.js").read_text(encoding="utf-8"),
)


def photo(source: str, grey: bool) -> tuple[np.ndarray | None, DeltaGenerator]:
    """The pixels of an uploaded, pasted or taken picture, and the place to show it at. Raises DrawingError."""
    what = "a digit or of a number" if grey else "something"
    if not grey:
        st.caption("This model learned from colour pictures. A pen of one colour says nothing to it: give it a photo.")
    if source == "Camera":
        file = st.camera_input(
            f"A photo of {what}",
            help="The browser asks whether the page may use the camera, which it may on this computer itself or over "
            "https. The photo is not kept.",
        )
    else:
        file = st.file_uploader(
            f"A photo or a screenshot of {what}",
            type=[suffix[1:] for suffix in SUFFIXES],
            help=f"On light or dark ground; at most {MAX_BYTES // 2**20} MB and {MAX_PIXELS // 10**6} megapixels. "
            "It is not kept.",
            key="photo",
        )
        _paste(key="paste", height="content")
        st.caption("Or copy a picture and paste it here with Ctrl+V.")
    return (None if file is None else read_picture(file.getvalue())), st.empty()


def show_photo(place: DeltaGenerator, source: str, pixels: np.ndarray, reading: Reading | None) -> None:
    """Shows the picture, (H, W) or (H, W, 3 or 4) uint8, with a frame around each digit of a number."""
    if reading is not None and len(reading.digits) > 1:
        place.image(boxed(pixels, reading), caption="Your picture", width="stretch")
    elif source != "Camera":  # which shows what it took itself
        place.image(pixels, caption="Your picture", width="stretch")


def boxed(pixels: np.ndarray, reading: Reading) -> np.ndarray:
    """(H, W) or (H, W, 3 or 4) uint8 → (H, W, 3) uint8 with a frame around each digit; doubtful ones are dashed."""
    from PIL import Image, ImageDraw

    from mnist_core.drawing.images import flatten_alpha

    picture = flatten_alpha(Image.fromarray(pixels)).convert("RGB")
    pen, width = ImageDraw.Draw(picture), max(1, round(max(picture.size) / 200))
    for digit in reading.digits:
        x, y, w, h = digit.box
        corners = [(x, y), (x + w, y), (x + w, y + h), (x, y + h), (x, y)]
        parts = [(0, 1)] if digit.certain else [(start / 8, start / 8 + 1 / 16) for start in range(8)]
        for (x0, y0), (x1, y1) in itertools.pairwise(corners):
            for start, stop in parts:
                ends = [(x0 + (x1 - x0) * share, y0 + (y1 - y0) * share) for share in (start, stop)]
                pen.line(ends, fill=FRAME, width=width)
    return np.array(picture)
