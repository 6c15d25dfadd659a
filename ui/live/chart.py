"""A chart that changes in place: any Plotly figure, again and again, without flicker and with its zoom kept.

`st.plotly_chart` throws its picture away on every change of data, so whoever zoomed into a curve loses the place a
moment later. Here one DOM node lives as long as the page shows the chart, and `Plotly.react` moves it to the newest
figure (`chart.js`). The figure is the same `go.Figure` that a still chart takes, and it need not know the theme:
whatever template it carries is replaced by one made from the page's colours; what the figure sets itself wins.

Reruns of a fragment would cost a watched training most: Streamlit compares the whole page anew each time. So a chart
fetches its figures itself, once a second (`feed.py`), and the progress above the charts moves by the same feed.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import plotly.graph_objects as go
import plotly.io as pio
import streamlit as st

from mnist_core.errors import LabError

HERE = Path(__file__).resolve().parent
STATIC_DIR = HERE.parents[1] / "static"
"""Streamlit serves this folder, next to app.py, as `app/static/` (`server.enableStaticServing`)."""


class ProgressBar(TypedDict):
    """A share in [0, 1], and the text above the bar."""

    share: float
    text: str


COORDINATES = ("x", "y", "z", "values")
_component = st.components.v2.component(
    "mnist_lab.live_chart",
    html='<div class="live-chart"></div>',
    css=(HERE / "chart.css").read_text(encoding="utf-8"),
    js=(HERE / "chart.js").read_text(encoding="utf-8"),
    # Plotly keeps its style sheet in the document's head, which a shadow root would not see.
    isolate_styles=False,
)


def prepare_plotly_js(static_dir: Path = STATIC_DIR) -> str:
    """Puts the installed package's plotly.js where Streamlit serves it; returns its URL path below the app's root.

    The lab never asks a CDN, so it works without a network, and 4.8 MB of somebody else's code stay out of git.
    A call that finds the file in place costs two `stat`s, so every chart can afford to make it. Raises LabError if
    the folder cannot be written.
    """
    source, its_version = _plotly()
    target = static_dir / f"plotly-{its_version}.min.js"
    try:
        if not (target.is_file() and target.stat().st_size == source.stat().st_size):
            _copy_atomically(source, target)
    except OSError as error:
        raise LabError(
            f"The charts need plotly.js in the folder {static_dir}, and it cannot be written there "
            f"({error.strerror or error}). Make that folder writable and reload the page."
        ) from error
    return f"app/static/{target.name}"


@cache
def _plotly() -> tuple[Path, str]:
    """plotly.js in the installed package, and its version: what is installed does not change while the lab runs."""
    return Path(str(files("plotly"))) / "package_data" / "plotly.min.js", version("plotly")


def _copy_atomically(source: Path, target: Path) -> None:
    """A browser that asks while the copy is under way must get the whole file or none: half a script is cached."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".plotly-", delete=False) as temporary:
        pass
    try:
        shutil.copyfile(source, temporary.name)
        os.chmod(temporary.name, 0o644)
        os.replace(temporary.name, target)
    except OSError:
        Path(temporary.name).unlink(missing_ok=True)
        raise


def live_chart(
    figure: go.Figure | dict[str, Any], key: str, height: int = 320, feed: str | None = None, state: str = ""
) -> bool:
    """Shows `figure`, `height` pixels tall, and moves the chart already on the page under `key` to it.

    Send the whole figure each time, curves downsampled to about 400 points: updates that arrive faster than the
    browser draws replace each other. Zoom, pan and hidden legend entries survive as long as `layout.uirevision` stays
    the same (default: `key`); traces are told apart by name, so one may be added in the middle.

    With a `feed` (see `ui/live/feed.py`) the browser fetches newer figures from there by itself. It causes a rerun, in
    which this returns True, as soon as the state reported there is no longer `state`. Raises LabError if plotly.js
    cannot be put in place.
    """
    shown = {"plotly": prepare_plotly_js(), "points": count_points(figure), "figure": figure_json(figure)}
    return _mounted(key, height, feed, state, shown)


def live_progress(progress: ProgressBar, key: str, height: int = 40, feed: str | None = None, state: str = "") -> bool:
    """A progress bar under its words, which moves as `live_chart` does."""
    return _mounted(key, height, feed, state, {"progress": progress, "points": 0, "figure": "null"})


def _mounted(key: str, height: int, feed: str | None, state: str, shown: dict[str, Any]) -> bool:
    data = {"key": key, "height": height, "time": time.time(), "feed": feed, "state": state, **shown}
    # The height given to Streamlit reserves the room before any script has run, so nothing below jumps.
    result = _component(key=key, data=data, height=height, on_changed_change=lambda: None)
    return bool(result.get("changed"))


def figure_json(figure: go.Figure | dict[str, Any]) -> str:
    """Figure → JSON without its template: those 7 KB say how a light page looks, and the browser knows better."""
    if isinstance(figure, go.Figure):
        figure = figure.to_dict()
        figure["layout"].pop("template", None)
    text: str = pio.json.to_json_plotly(figure)
    return text


def count_points(figure: go.Figure | dict[str, Any]) -> int:
    """How many points all traces hold together; a heatmap counts its cells. For tests, as `data-points`."""
    total = 0
    for trace in figure["data"]:
        arrays = [trace[name] for name in COORDINATES if name in trace and trace[name] is not None]
        total += max((np.size(array) for array in arrays), default=0)
    return total
