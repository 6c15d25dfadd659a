"""What takes long to import is loaded in the background, in an order in which nobody waits for it.

As soon as the server listens: what all pages need, while the first visitor's browser still loads Streamlit itself.
After the first page has been sent: torch and the first model, which take seconds. No page needs these to appear; what
does need them waits for `ready`. This module imports nothing of that itself.
"""

from __future__ import annotations

import contextlib
import gc
import threading
import time
from importlib import import_module

PATIENCE_SECONDS = 4.0
"""A server that nobody visits at first loads torch so long after its start."""
AFTER_PAGE_SECONDS = 0.5
"""And so long after the first page has been sent: the browser draws it meanwhile."""
PAGES = (
    "ui.panels.run",
    "ui.widgets.settings",
    "ui.widgets.model",
    "pandas",
    "ui.widgets.canvas",
    "ui.panels.run_list",
)
_page_sent, _ready = threading.Event(), threading.Event()
_lock = threading.Lock()
_thread: threading.Thread | None = None


def start() -> None:
    """Begins the loading, once a process. Returns at once."""
    global _thread
    with _lock:
        if _thread is None:
            _thread = threading.Thread(target=_load, name="warm-up", daemon=True)
            _thread.start()


def page_sent() -> None:
    """All of a page has been sent, but what waits for `ready`."""
    start()
    _page_sent.set()


def ready() -> bool:
    """Whether all is loaded, so that nothing waits for it any more."""
    return _ready.is_set()


def _load() -> None:
    try:
        for name in PAGES:
            with contextlib.suppress(Exception):  # the page that needs it says what is wrong with it
                import_module(name)
        if _page_sent.wait(PATIENCE_SECONDS):
            time.sleep(AFTER_PAGE_SECONDS)
        _load_torch()
    finally:
        _ready.set()  # even where it failed: whoever needs it finds out and says why


def _load_torch() -> None:
    from mnist_core.errors import LabError
    from mnist_core.runs.catalogue import models, predictor
    from mnist_core.system.device import divide_cores, use_threads

    divide_cores()
    # One digit at a time is no work to share: with two threads the server took 0.26 of a core for what 28 people drew
    # and looked at, with one 0.16. What is large takes all for a while (mnist_core/system/device.py: threads).
    use_threads(1)
    for model in models()[:1]:
        with contextlib.suppress(LabError):
            predictor(model)
    gc.collect()
    gc.freeze()  # out of the collector's sight: see .streamlit/config.toml
