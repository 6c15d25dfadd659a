"""Snapshots of a network side by side, which a slider in the browser moves through (`frames.js`).

All of them are sent once, as small packed arrays: a slider that asked the server for each picture could not follow a
hand, and a second visitor would slow the first.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

HERE = Path(__file__).resolve().parent
_component = st.components.v2.component(
    "mnist_lab.frames",
    html='<div class="frames"></div>',
    css=(HERE / "frames.css").read_text(encoding="utf-8"),
    js=(HERE / "frames.js").read_text(encoding="utf-8"),
    isolate_styles=False,
)


def show_frames(data: Mapping[str, Any], key: str, chosen: Callable[[int], None] | None = None) -> None:
    """Shows the frames of `data`. `chosen` is called with the step of the one at which a person has stopped.

    `data` has `classes` (names), `frames`, what is the same in all of them, and their `version`. It may be without
    frames where the browser has those of this version. `at` is the step that is shown first, and again when `asked`
    changes.
    """

    def heard() -> None:
        step = st.session_state[key].get("step")
        # a browser that has lost the frames reruns the page for them, at no step
        if chosen is not None and isinstance(step, int | float) and step >= 0:
            chosen(int(step))

    _component(key=key, data=dict(data), height="content", on_step_change=heard)


def packed(array: np.ndarray, kind: str = "u1") -> dict[str, Any]:
    """An array as its shape and its values in base64, little-endian numbers of that kind."""
    content = np.ascontiguousarray(array.astype(np.dtype(kind).newbyteorder("<")))
    return {"shape": list(array.shape), "values": base64.b64encode(content.tobytes()).decode()}


def signed(maps: np.ndarray, scale: float) -> dict[str, Any]:
    """(n, H, W) or (n, H, W, 3) float → whole numbers from -127 to 127 for values from -`scale` to `scale`."""
    return packed(np.clip(np.round(maps / max(scale, 1e-12) * 127), -127, 127), "i1")


def scale_of(maps: Sequence[np.ndarray]) -> float:
    """The size below which 995 in 1,000 values of all `maps` lie: one scale for all, without a few bright spots."""
    return float(np.quantile(np.abs(np.concatenate([each.ravel() for each in maps])), 0.995)) if maps else 1.0
