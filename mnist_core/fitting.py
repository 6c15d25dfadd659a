"""Pictures of any size and mode → the one size that a model reads."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageOps

from mnist_core.picture_file import as_uint8


def without_alpha(picture: Image.Image) -> Image.Image:
    """Any mode → L or RGB, on white where it is transparent."""
    flat = picture if picture.mode in ("L", "RGB") else Image.fromarray(as_uint8(picture))
    if flat.mode == "RGBA":
        flat = Image.alpha_composite(Image.new("RGBA", flat.size, "white"), flat).convert("RGB")
    return flat


def fitted(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """(H, W) or (H, W, 3) uint8 → the same of `height` × `width` px: all of it in its proportions, and the rest filled.

    What is filled in has the median tone of the picture's border.
    """
    picture = Image.fromarray(pixels)
    picture = picture.resize(size_within(picture.size, width, height), Image.Resampling.LANCZOS, reducing_gap=3)
    rim = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    tone = np.median(rim, axis=0).astype(int)
    return np.array(ImageOps.pad(picture, (width, height), color=tuple(tone.tolist()) if tone.ndim else int(tone)))


def size_within(size: tuple[int, int], width: int, height: int) -> tuple[int, int]:
    """The largest size of the proportions of `size` within `width` × `height`, at least a pixel."""
    scale = min(width / size[0], height / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
