"""The device that torch computes on, and how many CPU threads it uses there."""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mnist_core.lazy import LazyModule
from mnist_core.system.settings import parallel_runs

if TYPE_CHECKING:
    import torch
else:
    torch = LazyModule("torch")


GPU_DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")  # of NVIDIA, AMD, and Windows' subsystem for Linux


def default_device() -> str:
    """`cuda` where there is a GPU that torch can use, else `cpu`. On Linux torch is loaded only beside a driver."""
    if sys.platform == "linux" and not any(map(os.path.exists, GPU_DRIVERS)):
        return "cpu"
    return "cuda" if torch.cuda.is_available() else "cpu"


_all_threads: int | None = None
_lock = threading.Lock()
_users, _threads_before = 0, 0  # contexts of `threads` that are open, and the number of threads before the first


def all_threads() -> int:
    """The number of CPU threads this process began with: what a training uses where its settings leave that open."""
    global _all_threads
    _all_threads = _all_threads or torch.get_num_threads()
    return _all_threads


def use_threads(count: int) -> None:
    """Sets this process to `count` CPU threads; 0, or more than there are, means all."""
    wanted = min(count or all_threads(), all_threads())
    if torch.get_num_threads() != wanted:
        torch.set_num_threads(wanted)


@contextmanager
def threads(count: int = 0) -> Iterator[None]:
    """A context in which this process computes with `count` CPU threads, as in `use_threads`.

    Contexts may overlap between Python threads: the number before the first is restored when the last one ends.
    """
    global _users, _threads_before
    with _lock:
        if not _users:
            _threads_before = torch.get_num_threads()
        _users += 1
        use_threads(count)
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                torch.set_num_threads(_threads_before)


@functools.cache
def serve_with_one_thread() -> None:
    """Has a server that answers people compute with one thread from now on, once a process.

    One digit at a time is no work to share: with two threads the server took 0.26 of a core for what 28 people drew
    and looked at, with one 0.16. What is large takes all for a while (`threads`).
    """
    divide_cores()
    use_threads(1)


def divide_cores() -> None:
    """Divides the cores among the trainings that may run at once, unless OMP_NUM_THREADS is set.

    A single training takes all cores, with the page open too: `quick` took 13 s on two cores and 14 s on one.
    """
    if "OMP_NUM_THREADS" not in os.environ and parallel_runs() > 1:
        torch.set_num_threads(max(1, torch.get_num_threads() // parallel_runs()))
