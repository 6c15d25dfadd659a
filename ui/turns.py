"""Heavy computations of a server wait for each other, and their bars say so."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import streamlit as st

from mnist_core.system.progress import Progress

_heavy = threading.Lock()


@contextlib.contextmanager
def in_turn(text: str) -> Iterator[Progress]:
    """A progress bar; while another visitor's heavy view is computed, it says so and waits."""
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
