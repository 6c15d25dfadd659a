"""Figures for whoever watches, once a second and past Streamlit: a small file that the browser fetches.

A rerun of a fragment costs the browser more than the drawing: Streamlit compares the whole page anew. So while a
training runs, a thread writes the newest figures into `static/live/`, from where Streamlit serves plotly.js as well,
and `chart.js` fetches them. The file's name cannot be guessed and holds nothing but what the charts show.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import plotly.io as pio
import streamlit as st

from mnist_core.errors import LabError
from mnist_core.system.files import write_atomic
from ui.live.chart import STATIC_DIR, ProgressBar, count_points

INTERVAL_SECONDS = 1.0
BRISK_SECONDS = 3.0
"""After a beginning or a change of state the figures are written a few times a second for so long."""
BRISK_INTERVAL_SECONDS = 0.2
PATIENCE_SECONDS = 45.0
"""A feed that no page has asked for in this time ends; a page asks every thirty seconds."""
STALE_SECONDS = 60.0
Snapshot = Callable[[], tuple[str, dict[str, dict[str, Any] | ProgressBar]]]
"""→ (the state of what is watched, {key: a chart's figure as `{"data": …, "layout": …}`, or a `ProgressBar`})."""


class Feed:
    """A thread that writes `snapshot()` to a file until nobody asks any more. Raises OSError where it cannot."""

    def __init__(self, snapshot: Snapshot, folder: Path) -> None:
        self._snapshot = snapshot
        self._path = folder / f"{secrets.token_hex(16)}.json"
        self._asked = time.monotonic()
        self.url = f"app/static/{folder.name}/{self._path.name}"
        folder.mkdir(parents=True, exist_ok=True)
        _remove_stale(folder)
        state = self._write()
        self._thread = threading.Thread(target=self._keep_writing, args=(state,), name="feed", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def asked(self) -> None:
        """Somebody watches: goes on for another while."""
        self._asked = time.monotonic()

    def _write(self) -> str:
        state, figures = self._snapshot()
        shown = {
            key: {"points": count_points(figure), "figure": figure} if "data" in figure else {"progress": figure}
            for key, figure in figures.items()
        }
        content = pio.json.to_json_plotly({"time": time.time(), "state": state, "figures": shown})
        write_atomic(self._path, content.encode(), durable=False)
        return state

    def _keep_writing(self, before: str) -> None:
        brisk_until = time.monotonic() + BRISK_SECONDS
        try:
            while time.monotonic() - self._asked < PATIENCE_SECONDS:
                begun = time.monotonic()
                state = self._write()
                brisk_until = begun + BRISK_SECONDS if state != before else brisk_until
                before = state
                interval = BRISK_INTERVAL_SECONDS if begun < brisk_until else INTERVAL_SECONDS
                time.sleep(max(0.05, begun + interval - time.monotonic()))
        except (OSError, LabError):
            pass  # the page notices that the feed has ended, and says itself what is wrong
        finally:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)


def _remove_stale(folder: Path) -> None:
    """What a server that was killed has left: a living feed is written anew all the time."""
    for path in folder.iterdir():
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > STALE_SECONDS:
                path.unlink()


@st.cache_resource(show_spinner=False)
def _feeds() -> dict[str, Feed]:
    return {}


def feed_url(key: str, snapshot: Snapshot, folder: Path = STATIC_DIR / "live") -> str | None:
    """The URL path, below the app's root, at which the figures of `key` are kept fresh; one feed for all who watch.

    None where it cannot be read or written, as without write access to the lab: then the page has to rerun instead.
    """
    feeds = _feeds()
    for ended in [other for other, feed in feeds.items() if not feed.alive]:
        del feeds[ended]
    if key not in feeds:
        try:
            feeds[key] = Feed(snapshot, folder)
        except (OSError, LabError):
            return None
    feeds[key].asked()
    return feeds[key].url
