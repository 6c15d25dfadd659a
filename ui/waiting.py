"""Heavy computing in the server: one at a time, with its progress on the page, and without torch."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import streamlit as st
from streamlit.runtime.scriptrunner import add_script_run_ctx

from mnist_core.system.progress import Progress

SOON_SECONDS = 0.15
_heavy = threading.Lock()


@contextlib.contextmanager
def one_at_a_time(text: str) -> Iterator[Progress]:
    """A progress bar; while another visitor's heavy look is computed, it says so and waits."""
    bar = st.progress(0.0, text)

    def show(share: float) -> None:
        bar.progress(share, text)

    try:
        if not _heavy.acquire(blocking=False):
            bar.progress(0.0, "Another visitor's view is being computed; yours is next …")
            _heavy.acquire()
        try:
            yield show
        finally:
            _heavy.release()
    finally:
        bar.empty()


@contextlib.contextmanager
def progress_soon(text: str) -> Iterator[None]:
    """A bar with a text while what takes longer than SOON_SECONDS is computed; Streamlit's spinner waits for 0.5 s."""
    place = st.empty()
    timer = threading.Timer(SOON_SECONDS, lambda: place.progress(0.0, text))
    add_script_run_ctx(timer)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        place.empty()
