"""What takes long to import is loaded in the background, in an order in which nobody waits for it.

As soon as the server listens: what all pages need, while the first visitor's browser still loads Streamlit itself;
then pandas, if the page that it asked for needs that. After the first page has been sent: pandas otherwise, the first
model, and what reads drawings. No page needs these to appear; what does need them waits for `ready`. This module
imports nothing of that itself. Torch is not loaded here: only looking inside a network needs it in the server.
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
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

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
    "ui.lessons.lesson",
    "streamlit.emojis",  # for the icon of a page
)
TABLES = ("pandas", "pyarrow.compute")
"""What Streamlit imports for a table, and for a component that is given a mapping, as the canvas is."""
WITH_TABLES = ("draw", "teach", "inside", "results", "data")
"""Pages that begin with one of these."""
_page_sent, _page_seen, _ready = threading.Event(), threading.Event(), threading.Event()
_tables_expected = threading.Event()
_ENDS = tuple(f"/{name}" for name in WITH_TABLES)
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


class Expect:
    """Middleware that sees which page a browser asks for, half a second before Streamlit runs its script."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].rstrip("/").endswith(_ENDS):
            _tables_expected.set()
        await self._app(scope, receive, send)


def ready() -> bool:
    """Whether all is loaded, so that nothing waits for it any more."""
    return _ready.is_set()


def _load() -> None:
    from mnist_core.errors import LabError

    gc.disable()  # nothing imported becomes garbage: looking through it again and again took a tenth of the time
    try:
        _import(PAGES)
        if _tables_expected.is_set():
            _import(TABLES)
        inspect.stack()  # Streamlit looks once; it is slow until inspect knows the files of all modules
        if _page_sent.wait(PATIENCE_SECONDS):
            time.sleep(AFTER_PAGE_SECONDS)
        _import(TABLES)
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


def _import(names: tuple[str, ...]) -> None:
    for name in names:
        with contextlib.suppress(Exception):  # the page that needs it says what is wrong with it
            import_module(name)


def _load_model() -> None:
    from mnist_core.errors import LabError
    from mnist_core.runs.catalogue import models, predictor

    for model in models()[:1]:
        with contextlib.suppress(LabError):
            predictor(model)
    gc.collect()
    gc.freeze()  # out of the collector's sight: see .streamlit/config.toml
    atexit.register(gc.unfreeze)  # or the libraries complain of leaks when the server ends
