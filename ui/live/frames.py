"""Snapshots of a network side by side, which a slider in the browser moves through (`frames.js`).

All of them are sent once, as small packed arrays: a slider that asked the server for each picture could not follow a
hand, and a second visitor would slow the first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

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
    changes. With a `feed`, a path below the app's root, the browser asks there once a second for the newest frame, and
    sends `image`, a drawing in base64, along.
    """

    def heard() -> None:
        step = st.session_state[key].get("step")
        # a browser that has lost the frames reruns the page for them, at no step
        if chosen is not None and isinstance(step, int | float) and step >= 0:
            chosen(int(step))

    _component(key=key, data=dict(data), height="content", on_step_change=heard)
