"""Arrays as small packed numbers in JSON, for pictures that a browser draws itself (ui/live/frames.js)."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

MOST = 127  # of a signed number


def packed(array: np.ndarray, kind: str = "u1") -> dict[str, Any]:
    """An array as its shape and its values in base64, little-endian numbers of that kind."""
    content = np.ascontiguousarray(array.astype(np.dtype(kind).newbyteorder("<")))
    return {"shape": list(array.shape), "values": base64.b64encode(content.tobytes()).decode()}


def unpacked(value: dict[str, Any], kind: str = "u1") -> np.ndarray:
    """The array of `packed`. Raises KeyError, TypeError or ValueError where it is none."""
    numbers = np.frombuffer(base64.b64decode(value["values"], validate=True), np.dtype(kind).newbyteorder("<"))
    return numbers.reshape(value["shape"])


def pixels(text: str, shape: tuple[int, ...]) -> np.ndarray:
    """uint8 values in base64, as it stands in an address → an array of that shape. Raises ValueError."""
    return np.frombuffer(base64.b64decode(text, altchars=b"-_", validate=True), np.uint8).reshape(shape)


def signed(maps: np.ndarray, scale: float) -> dict[str, Any]:
    """(n, H, W) or (n, H, W, 3) float → packed whole numbers from -127 to 127 for values from -`scale` to `scale`."""
    return packed(np.clip(np.round(maps / max(scale, 1e-12) * MOST), -MOST, MOST), "i1")


def scale_of(maps: Sequence[np.ndarray]) -> float:
    """The size below which 995 in 1,000 values of all `maps` lie: one scale for all, without a few bright spots."""
    return float(np.quantile(np.abs(np.concatenate([each.ravel() for each in maps])), 0.995)) if maps else 1.0
