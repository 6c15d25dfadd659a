"""How many people are at work in the lab: sessions in which something happened within the last minute.

When all have left, the server gives back the memory that they took.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import threading
import time

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

AT_WORK_SECONDS = 60.0
FORGOTTEN_SECONDS = 150.0
"""Streamlit keeps what belongs to a session for two minutes, should its browser come back."""


class Visitors:
    """When each session was last seen at work. For any thread."""

    def __init__(self) -> None:
        self._seen: dict[str, float] = {}
        self._last: float | None = None
        self._lock = threading.Lock()

    def see(self, session: str) -> None:
        """Notes that `session` is at work."""
        with self._lock:
            self._seen[session] = self._last = time.monotonic()

    def at_work(self) -> int:
        """How many there are now; the others are forgotten."""
        with self._lock:
            since = time.monotonic() - AT_WORK_SECONDS
            self._seen = {session: seen for session, seen in self._seen.items() if seen > since}
            return len(self._seen)

    def left(self, seconds: float) -> bool:
        """Whether somebody was here, and nobody has been for so long. True once for each time."""
        with self._lock:
            if self._last is None or time.monotonic() - self._last < seconds:
                return False
            self._last = None
            return True


@st.cache_resource(show_spinner=False)
def visitors() -> Visitors:
    """The server's."""
    present = Visitors()
    threading.Thread(target=_keep_tidy, args=(present,), name="tidy", daemon=True).start()
    return present


def _keep_tidy(present: Visitors) -> None:
    while True:
        time.sleep(5.0)
        if present.left(FORGOTTEN_SECONDS):
            give_memory_back()


def give_memory_back() -> None:
    """Frees what nobody holds any more, and hands what is free to the system. Takes a fraction of a second, in which
    the server does nothing else."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # of the C libraries, glibc alone can be told to
        ctypes.CDLL(None).malloc_trim(0)


def mark_active() -> None:
    """Notes that this session is at work."""
    context = get_script_run_ctx()
    if context is not None:
        visitors().see(context.session_id)
