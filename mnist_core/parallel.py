"""in_threads(function, items) → [function(item), …], in order, a chunk of items at a time, with progress."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from mnist_core.cores import leave_core

CHUNK = 64  # items that a thread takes at a time

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    threads: int,
    progress: Callable[[float], None] | None = None,
) -> list[Result]:
    """`function` of each item, in the order of `items`; `progress` is called with the share done, in (0, 1].

    Of several errors that `function` raises, the first in that order is raised, and what is not begun is dropped.
    """

    def chunk(start: int) -> list[Result]:
        return [function(item) for item in items[start : start + CHUNK]]

    results: list[Result] = []
    pool = ThreadPoolExecutor(threads, initializer=leave_core)
    try:
        for part in pool.map(chunk, range(0, len(items), CHUNK)):
            results += part
            if progress:
                progress(len(results) / len(items))
    finally:
        pool.shutdown(cancel_futures=True)
    return results
