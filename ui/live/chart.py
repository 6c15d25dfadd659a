"""A chart that changes in place: any Plotly figure, again and again, without flicker and with its zoom kept.

`st.plotly_chart` throws its picture away on every change of data, so whoever zoomed into a curve loses the place a
moment later. Here one DOM node lives as long as the page shows the chart, and `Plotly.react` moves it to the newest
figure (`chart.js`). The figure is the same `go.Figure` that a still chart takes, and it need not know the theme:
whatever template it carries is replaced by one made from the page's colours; what the figure sets itself wins.

Reruns of a fragment would cost a watched training most: Streamlit compares the whole page anew each time. So a chart
listens for its figures itself (server/curves.py), and the progress above the charts moves by the same feed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
import plotly.io as pio
import streamlit as st

from mnist_core.figures.plotly_js import plotly_js_name

if TYPE_CHECKING:
    from mnist_core.runs.snapshot import ProgressBar

HERE = Path(__file__).resolve().parent
CLOSED_SECONDS = 60.0  # after which a feed that was closed to a browser is tried again
CLOSED = "feed-closed"  # of the session: when it was
COORDINATES = ("x", "y", "z", "values")
_component = st.components.v2.component(
    "mnist_lab.live_chart",
    html='<div class="live-chart"></div>',
    css=(HERE / "chart.css").read_text(encoding="utf-8"),
    js="".join((HERE / name).read_text(encoding="utf-8") for name in ("chart.js", "points.js")),
    # Plotly keeps its style sheet in the document's head, which a shadow root would not see.
    isolate_styles=False,
)


@dataclass(frozen=True)
class Picks:
    """What a person picks in a chart: one point by a click, and several by a lasso where `lasso` is set.

    `hear` is called, before the page is run anew, with {"point": its customdata}, {"lasso": [[x, y], …]} in the units
    of the axes, or {} where the selection is to go. `images` is a path below the app's root: at `images`/N.png is the
    image of the point whose customdata begins with N, for the pointer over it. `alt` describes the chart in words.
    """

    hear: Callable[[dict[str, Any]], None]
    lasso: bool = False
    images: str = ""
    alt: str = ""


def live_chart(
    figure: go.Figure | dict[str, Any],
    key: str,
    height: int = 320,
    feed: str | None = None,
    state: str = "",
    picks: Picks | None = None,
) -> bool:
    """Shows `figure`, `height` pixels tall, and moves the chart already on the page under `key` to it.

    Send the whole figure each time, curves downsampled to about 400 points: updates that arrive faster than the
    browser draws replace each other. Zoom, pan and hidden legend entries survive as long as `layout.uirevision` stays
    the same (default: `key`); traces are told apart by name, so one may be added in the middle.

    With a `feed` (see `feed_path`) the browser hears of newer figures by itself. It causes a rerun, in which this
    returns True, as soon as the state reported there is no longer `state`, or the feed is closed to it.
    """
    shown = {"plotly": f"lab/{plotly_js_name()}", "points": count_points(figure), "figure": figure_json(figure)}
    if picks is not None:
        shown |= {"picks": "lasso" if picks.lasso else "points", "images": picks.images, "alt": picks.alt}
    return _mounted(key, height, feed, state, shown, picks)


def live_progress(progress: ProgressBar, key: str, height: int = 40, feed: str | None = None, state: str = "") -> bool:
    """A progress bar under its words, which moves as `live_chart` does."""
    return _mounted(key, height, feed, state, {"progress": progress, "points": 0, "figure": "null"})


def _mounted(
    key: str, height: int, feed: str | None, state: str, shown: dict[str, Any], picks: Picks | None = None
) -> bool:
    def heard() -> None:
        picked = st.session_state[key].get("picked")
        if picks is not None and isinstance(picked, dict):
            picks.hear(picked)

    data = {"key": key, "height": height, "time": time.time(), "feed": feed, "state": state, **shown}
    # The height given to Streamlit reserves the room before any script has run, so nothing below jumps.
    result = _component(
        key=key,
        data=data,
        height=height,
        on_changed_change=lambda: None,
        on_closed_change=lambda: None,
        on_picked_change=heard,
    )
    if result.get("closed"):
        st.session_state[CLOSED] = time.monotonic()
    return bool(result.get("changed") or result.get("closed"))


def feed_path(run_id: str, behind: Sequence[str] = (), seeds: Sequence[str] = ()) -> str | None:
    """Where browsers hear of the run's figures before those `behind`, or of the mean over the run and `seeds`.

    It is below the app's root.

    None for a while after it was closed to this session's browser, as by a proxy: then the page has to rerun instead.
    """
    if time.monotonic() - st.session_state.get(CLOSED, -CLOSED_SECONDS) < CLOSED_SECONDS:
        return None
    others = f"seeds={','.join(seeds)}" if seeds else f"behind={','.join(behind)}"
    return f"api/runs/{run_id}/events?view=curves&{others}"


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
