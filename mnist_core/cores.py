"""How trainings share the processor's cores, and which core each thread of a training runs on."""

from __future__ import annotations

import contextlib
import os
import sys

from mnist_core.errors import ConfigError

CHOSEN_BY_A_PERSON = ("OMP_NUM_THREADS", "OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY")
_every_core: set[int] | None = None


def parallel_runs() -> int:
    """How many trainings may run at once: MNIST_LAB_PARALLEL, or 1. Raises ConfigError when that is no number."""
    text = os.environ.get("MNIST_LAB_PARALLEL") or "1"
    if not text.isdigit() or not 1 <= int(text) <= 64:
        raise ConfigError(f"MNIST_LAB_PARALLEL should be a number from 1 to 64, not '{text[:40]}'.")
    return int(text)


def share_the_cores() -> None:
    """Divides the cores among the trainings that may run at once, unless OMP_NUM_THREADS says otherwise.

    A single one takes them all, with the page open too: on two cores `quick` then took 13 s, with one thread 14 s.
    """
    import torch

    if "OMP_NUM_THREADS" not in os.environ and parallel_runs() > 1:
        torch.set_num_threads(max(1, torch.get_num_threads() // parallel_runs()))


def keep_threads_apart() -> None:
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


def leave_core() -> None:
    """Lets the calling thread run on every core; else it shares the one of the thread that began it."""
    if _every_core is not None:
        with contextlib.suppress(OSError):  # they may have been taken away meanwhile
            os.sched_setaffinity(0, _every_core)
