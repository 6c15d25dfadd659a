"""Looking inside a network while it trains: its weights, norms, and answers to validation images and a drawing."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import streamlit as st

from mnist_core.runs.run import Run
from mnist_core.runs.weight_snapshots import snapshots
from ui import page

if TYPE_CHECKING:
    import numpy as np

    from mnist_core.models.checkpoint import Checkpoint


def look_inside(run: Run) -> None:
    """A toggle, and behind it what the network of an active run is just now. Of an ended one the way to its replay."""
    if not run.status().active:
        if snapshots(run):
            st.page_link(
                "pages/replay.py",
                label="Replay how it learned",
                icon=":material/history:",
                query_params={"run": run.id},
            )
        return
    shown = st.toggle(
        "Look inside while it trains",
        key="look-inside",
        persist_state="session",
        help="Learning rate, norms, filters, and answers to the same images and to your drawing, about once a second",
    )
    if not shown:
        return
    from mnist_core.runs import looks  # imports ONNX Runtime
    from ui.widgets import canvas

    def asked() -> bool:
        looks.ask(run)
        return looks.newest(run) is not None or not run.status().active

    def show() -> None:
        canvas.carry_over()
        _live(run)

    page.when_ready(show, asked, lambda: st.caption("The first look comes as soon as it trains."))


@st.fragment
def _live(run: Run) -> None:
    """A canvas, and what the browser shows of the network: it asks for that itself. A stroke reruns only this."""
    from mnist_core.runs import looks
    from ui.live.frames import show_frames
    from ui.widgets import canvas

    found = looks.newest(run)
    if found is None:
        return
    _, checkpoint, _ = found
    image = ""
    if checkpoint.card.shape.channels == 1:
        paper, shown = st.columns([1, 3], gap="medium")
        with paper, page.errors_as_messages():
            st.caption("Draw at it: the answer changes as it learns.")
            place, buttons, controls = st.container(), st.container(horizontal=True), st.container()
            with place:
                pixels = canvas.canvas(buttons, controls).pixels
            image = "" if pixels is None else _as_read(checkpoint, pixels)
    else:
        shown = st.container()
    with shown:
        show_frames({"feed": f"api/runs/{run.id}/look", "image": image}, f"look-{run.id}")


def _as_read(checkpoint: Checkpoint, pixels: np.ndarray) -> str:
    """A drawing as the network reads it, in base64 for an address."""
    from mnist_core.inference.predictor import Predictor

    reader = Predictor(checkpoint, learning=True)
    image = reader.prepare(reader.from_canvas(pixels))
    return "" if image is None else base64.urlsafe_b64encode(image.tobytes()).decode()
