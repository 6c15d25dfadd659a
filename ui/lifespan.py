"""What the server does from its start to its end, besides answering."""

from __future__ import annotations

import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from ui import warmup


@asynccontextmanager
async def lifespan(_app: Any) -> AsyncIterator[None]:
    """Entered just before the server listens, left when it shuts down. Neither waits for an import."""
    warmup.start()
    threading.Thread(target=_continue_queue, name="queue", daemon=True).start()
    yield
    if cache := sys.modules.get("ui.cache"):
        cache.close_workers()


def _continue_queue() -> None:
    """After a restart, runs that wait go on without a visitor."""
    from mnist_core.errors import LabError
    from mnist_core.runs.run import list_runs
    from ui import actions

    try:
        if any(run.status().active for run in list_runs()):
            actions.warm()
    except LabError as error:  # a visitor gets the same sentence on the page
        print(error, file=sys.stderr)
