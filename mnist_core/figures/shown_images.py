"""Images that a page shows one at a time, under the pointer: kept for the route that the browser fetches them by."""

from __future__ import annotations

import io
import secrets
import threading
from collections import OrderedDict

import numpy as np

from mnist_core.figures.images import as_picture

MOST = 4  # sets of images that are kept: those that pages asked for last
_sets: OrderedDict[str, tuple[str, np.ndarray]] = OrderedDict()
_changing = threading.Lock()


def show_images(images: np.ndarray, fingerprint: str) -> str:
    """Keeps (N, C, H, W) uint8 images and returns the name of their set, which nobody can guess.

    The same `fingerprint`, which no other images may have, gives the same name as long as the set is kept.
    """
    with _changing:
        token, _ = _sets.pop(fingerprint, (secrets.token_urlsafe(16), images))
        _sets[fingerprint] = token, images
        while len(_sets) > MOST:
            _sets.popitem(last=False)
        return token


def shown_image(token: str, row: int) -> bytes | None:
    """The image of that row of a set as PNG; None where there is none."""
    from PIL import Image

    with _changing:
        images = dict(_sets.values()).get(token)
    if images is None or not 0 <= row < len(images):
        return None
    file = io.BytesIO()
    Image.fromarray(as_picture(images[row])).save(file, "PNG", compress_level=1)
    return file.getvalue()
