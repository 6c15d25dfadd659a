"""Threads: the core that each one runs on, and a function mapped over many items.

This module does not import torch: OpenMP reads its variables as torch is loaded, after `pin_threads_to_cores`.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from mnist_core.system.progress import Progress
from mnist_core.system.settings import parallel_runs

NICENESS = 10  # of a worker: halfway between 0, all other processes, and 19, the lowest priority
OPENMP_VARIABLES = ("OMP_NUM_THREADS", "OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY")
_all_cores: set[int] | None = None


def pin_threads_to_cores() -> None:
    """Gives each of torch's threads a core of its own. Has to be called before torch is loaded.

    The threads of a training wait for each other hundreds of times a second. Where the scheduler puts two of them on
    one core, all wait for both: beside one busy process on two cores, `quick` trained at a third of its speed.

    Does nothing where torch is loaded already, where the environment configures OpenMP, where several trainings
    divide the cores, and where the system has no CPU affinity. Raises ConfigError as `parallel_runs` does.
    """
    global _all_cores
    if "torch" in sys.modules or any(name in os.environ for name in OPENMP_VARIABLES):
        return
    if parallel_runs() > 1 or not hasattr(os, "sched_getaffinity"):
        return
    _all_cores = os.sched_getaffinity(0)
    os.environ.update(OMP_PROC_BIND="true", OMP_PLACES="cores")


def cores() -> int:
    """The number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def unpin_thread() -> None:
    """Lets the calling thread run on every core; otherwise it shares the core of the thread that started it."""
    if _all_cores is not None:
        with contextlib.suppress(OSError):  # cores may have been taken from the process meanwhile
            os.sched_setaffinity(0, _all_cores)


def lower_priority() -> None:
    """Lets other processes compute first; alone, this one computes as fast as before. Threads begun later inherit it.

    Linux may weigh sessions against each other before it looks at processes, so the session gets the niceness too.
    """
    with contextlib.suppress(AttributeError, OSError):  # Windows has no niceness; there the pool sets the priority
        os.nice(NICENESS)
        Path("/proc/self/autogroup").write_text(str(NICENESS))


CHUNK = 64  # small items per task of a thread
Item = TypeVar("Item")
Result = TypeVar("Result")


def map_in_threads(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    threads: int,
    progress: Progress | None = None,
    chunk: int = CHUNK,
) -> list[Result]:
    """`function` of each item, in the order of `items`, computed in `threads` threads, `chunk` of them at a time.

    Raises the first error, in that order, that `function` raises; tasks that have not started are then cancelled.
    """

    def task(start: int) -> list[Result]:
        return [function(item) for item in items[start : start + chunk]]

    results: list[Result] = []
    pool = ThreadPoolExecutor(threads, initializer=unpin_thread)
    try:
        for part in pool.map(task, range(0, len(items), chunk)):
            results += part
            if progress:
                progress(len(results) / len(items))
    finally:
        pool.shutdown(cancel_futures=True)
    return results
