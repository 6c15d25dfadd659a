"""What torch computes with: the GPU or the CPU, and how many CPU threads."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from mnist_core.system.settings import parallel_runs


def default_device() -> str:
    """`cuda` where there is a GPU that torch can use, else `cpu`."""
    return "cuda" if torch.cuda.is_available() else "cpu"


_all_threads: int | None = None
_lock = threading.Lock()
_inside, _before = 0, 0  # how many are in `threads`, and what held before the first of them


def all_threads() -> int:
    """How many CPU threads a training has when its settings leave that open: those that this process began with."""
    global _all_threads
    _all_threads = _all_threads or torch.get_num_threads()
    return _all_threads


def use_threads(count: int) -> None:
    """Has this process compute with `count` CPU threads; 0, or more than there are, are all."""
    wanted = min(count or all_threads(), all_threads())
    if torch.get_num_threads() != wanted:
        torch.set_num_threads(wanted)


@contextmanager
def threads(count: int = 0) -> Iterator[None]:
    """Inside, this process computes with `count` CPU threads, as `use_threads` counts them; when all have left, with
    as many as before the first came."""
    global _inside, _before
    with _lock:
        if not _inside:
            _before = torch.get_num_threads()
        _inside += 1
        use_threads(count)
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                torch.set_num_threads(_before)


def divide_cores() -> None:
    """Divides the cores among the trainings that may run at once, unless OMP_NUM_THREADS says otherwise.

    A single one takes them all, with the page open too: on two cores `quick` then took 13 s, with one thread 14 s.
    """
    import torch

    if "OMP_NUM_THREADS" not in os.environ and parallel_runs() > 1:
        torch.set_num_threads(max(1, torch.get_num_threads() // parallel_runs()))
