"""Which core each thread of a training runs on, and a function over many items in several threads.

Imports no torch: OpenMP reads its variables as torch is loaded, so `pin_threads_to_cores` must come before.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from mnist_core.system.progress import Progress
from mnist_core.system.settings import parallel_runs

CHOSEN_BY_A_PERSON = ("OMP_NUM_THREADS", "OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY")
_every_core: set[int] | None = None


def pin_threads_to_cores() -> None:
    """Gives each of torch's threads a core of its own. OpenMP reads this as torch is loaded, so it must come before.

    The threads of a training wait for each other hundreds of times a second. Left to the scheduler two of them now
    and then share a core, and each waits while the other waits for it: beside one busy process on two cores `quick`
    trained at a third of the speed that it has with its threads apart.

    Does nothing where torch is loaded already, where the environment says what OpenMP shall do, where several
    trainings divide the cores, and where the system lets no process choose. Raises ConfigError as `parallel_runs`.
    """
    global _every_core
    if "torch" in sys.modules or any(name in os.environ for name in CHOSEN_BY_A_PERSON):
        return
    if parallel_runs() > 1 or not hasattr(os, "sched_getaffinity"):
        return
    _every_core = os.sched_getaffinity(0)
    os.environ.update(OMP_PROC_BIND="true", OMP_PLACES="cores")


def unpin_thread() -> None:
    """Lets the calling thread run on every core; else it shares the one of the thread that began it."""
    if _every_core is not None:
        with contextlib.suppress(OSError):  # they may have been taken away meanwhile
            os.sched_setaffinity(0, _every_core)


CHUNK = 64  # items that a thread takes at a time
Item = TypeVar("Item")
Result = TypeVar("Result")


def map_in_threads(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    threads: int,
    progress: Progress | None = None,
) -> list[Result]:
    """`function` of each item, in the order of `items`; `progress` is called with the share done, in (0, 1].

    Of several errors that `function` raises, the first in that order is raised, and what is not begun is dropped.
    """

    def chunk(start: int) -> list[Result]:
        return [function(item) for item in items[start : start + CHUNK]]

    results: list[Result] = []
    pool = ThreadPoolExecutor(threads, initializer=unpin_thread)
    try:
        for part in pool.map(chunk, range(0, len(items), CHUNK)):
            results += part
            if progress:
                progress(len(results) / len(items))
    finally:
        pool.shutdown(cancel_futures=True)
    return results
