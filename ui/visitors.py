"""When somebody was last active in the lab. After the last one has left, the server releases memory."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import threading
import time

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

IDLE_SECONDS = 150.0  # Streamlit keeps a session for two minutes after its browser has left


class Visitors:
    """When one of them was last active. Thread-safe."""

    def __init__(self) -> None:
        self._last: float | None = None
        self._lock = threading.Lock()

    def see(self) -> None:
        """Notes that somebody is active now."""
        with self._lock:
            self._last = time.monotonic()

    def left(self, seconds: float) -> bool:
        """Whether the last activity is `seconds` ago. True once, until there is another one."""
        with self._lock:
            if self._last is None or time.monotonic() - self._last < seconds:
                return False
            self._last = None
            return True


@st.cache_resource(show_spinner=False)
def visitors() -> Visitors:
    """The visitors of this server."""
    present = Visitors()
    threading.Thread(target=_release_memory_when_idle, args=(present,), name="idle", daemon=True).start()
    return present


def _release_memory_when_idle(present: Visitors) -> None:
    while True:
        time.sleep(5.0)
        if present.left(IDLE_SECONDS):
            release_memory()


def release_memory() -> None:
    """Collects garbage and returns free memory to the system, which blocks the server for a fraction of a second."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)


def mark_active() -> None:
    """Notes that somebody is active, when a session runs this."""
    if get_script_run_ctx() is not None:
        visitors().see()
