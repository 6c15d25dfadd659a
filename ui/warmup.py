"""What takes long to import is loaded in the background, in an order in which nobody waits for it.

As soon as the server listens: what all pages need, while the first visitor's browser still loads Streamlit itself.
After the first page has been sent: the first model, and what reads drawings. No page needs these to appear; what does
need them waits for `ready`. This module imports nothing of that itself. Torch is not loaded here: only looking inside
a network needs it in the server.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import inspect
import threading
import time
from collections.abc import Callable
from importlib import import_module

PATIENCE_SECONDS = 4.0
"""A server that nobody visits at first loads the model so long after its start."""
AFTER_PAGE_SECONDS = 3.0
"""And so long after the first page has been sent: the browser draws it meanwhile."""
PAGES = (
    "ui.panels.run",
    "ui.widgets.settings",
    "ui.widgets.model",
    "ui.live.answer",
    "ui.widgets.start_image",
    "ui.panels.run_list",
    "pandas",  # which Streamlit imports for the first component or table
    "pyarrow.compute",
)
_page_sent, _page_seen, _ready = threading.Event(), threading.Event(), threading.Event()
_lock = threading.Lock()
_thread: threading.Thread | None = None
_later: list[Callable[[], None]] = []


def start() -> None:
    """Begins the loading, once a process. Returns at once."""
    global _thread
    with _lock:
        if _thread is None:
            _thread = threading.Thread(target=_load, name="warm-up", daemon=True)
            _thread.start()


def page_sent(then: Callable[[], None] = lambda: None) -> None:
    """All of a page has been sent, but what waits for `ready`. `then` is called when nobody waits for it.

    That is at once, or after the browser has drawn the server's first page; a LabError is then left for the next call.
    """
    start()
    with _lock:
        first = not _page_seen.is_set()
        if first:
            _later.append(then)
    _page_sent.set()
    if not first:
        then()


def ready() -> bool:
    """Whether all is loaded, so that nothing waits for it any more."""
    return _ready.is_set()


def _load() -> None:
    from mnist_core.errors import LabError

    gc.disable()  # nothing imported becomes garbage: looking through it again and again took a tenth of the time
    try:
        for name in PAGES:
            with contextlib.suppress(Exception):  # the page that needs it says what is wrong with it
                import_module(name)
        inspect.stack()  # Streamlit looks once; it is slow until inspect knows the files of all modules
        if _page_sent.wait(PATIENCE_SECONDS):
            time.sleep(AFTER_PAGE_SECONDS)
        gc.enable()
        _load_model()
    finally:  # even where that failed: whoever needs it finds out and says why
        gc.enable()
        _ready.set()
        with _lock:
            _page_seen.set()
        for then in _later:
            with contextlib.suppress(LabError):
                then()


def _load_model() -> None:
    from mnist_core.errors import LabError
    from mnist_core.runs.catalogue import models, predictor

    for model in models()[:1]:
        with contextlib.suppress(LabError):
            predictor(model)
    gc.collect()
    gc.freeze()  # out of the collector's sight: see .streamlit/config.toml
    atexit.register(gc.unfreeze)  # or the libraries complain of leaks when the server ends
