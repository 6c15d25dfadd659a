"""Two simpler ways to bring a drawing to 28×28 px than drawing/preprocess.py, to compare with it.

MNIST's own digits were scaled to a box of 20×20 px and then centred by their mass (Y. LeCun et al., Gradient-based
learning applied to document recognition, 1998). What leaves that out gives a model digits unlike those it learned from.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from mnist_core.drawing.preprocess import as_pixels

SIDE, BOX = 28, 20  # px
INK = 50  # of 255: what is lighter is ink


def shrunk(pixels: np.ndarray) -> np.ndarray | None:
    """(H, W), (H, W, 3) or (H, W, 4) uint8, light on black → (28, 28) uint8: the whole picture, the mean of its pixels.

    None for a picture without ink. Raises DrawingError for another shape.
    """
    grey = _grey(pixels)
    return None if grey is None else np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BOX))


def boxed(pixels: np.ndarray) -> np.ndarray | None:
    """The same, but of the ink's box only: its longest side is 20 px, and its middle the picture's middle.

    Strokes become as thick as they come out, and the centre of mass stays where it is.
    """
    grey = _grey(pixels)
    if grey is None:
        return None
    rows, columns = np.nonzero(np.asarray(grey) > INK)
    box = int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1
    width, height = box[2] - box[0], box[3] - box[1]
    scale = BOX / max(width, height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    result = Image.new("L", (SIDE, SIDE))
    small = grey.resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR, box=box)
    result.paste(small, ((SIDE - size[0]) // 2, (SIDE - size[1]) // 2))
    return np.asarray(result)


def _grey(pixels: np.ndarray) -> Image.Image | None:
    found = Image.fromarray(as_pixels(pixels)).convert("L") if np.asarray(pixels).size else None
    return found if found is not None and np.asarray(found).max() > INK else None
