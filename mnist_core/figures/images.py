"""Images of a dataset or a model's input, as arrays for image elements."""

from __future__ import annotations

import base64
import io

import numpy as np


def enlarge(image: np.ndarray, factor: int = 7) -> np.ndarray:
    """(H, W) or (H, W, C) uint8 → each pixel as a square of `factor` px a side."""
    return image.repeat(factor, axis=0).repeat(factor, axis=1)


def as_picture(image: np.ndarray) -> np.ndarray:
    """(C, H, W) uint8 → (H, W) or (H, W, 3) uint8, as image elements expect."""
    return image[0] if image.shape[0] == 1 else np.moveaxis(image, 0, -1)


def data_url(picture: np.ndarray) -> str:
    """(H, W), (H, W, 3) or (H, W, 4) uint8 → a `data:` URL of it as PNG.

    An image element takes it as it is: an array would be encoded, decoded, shrunk and encoded again, and fetched.
    """
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", compress_level=1)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
