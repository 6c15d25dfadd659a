"""`python -m mnist_core.runs RUNS_DIR DATA_DIR` begins a worker of low priority, its threads pinned (worker.py)."""

from __future__ import annotations

import sys
from pathlib import Path

from mnist_core.system.threads import lower_priority, pin_threads_to_cores

if __name__ == "__main__":
    lower_priority()
    pin_threads_to_cores()
    from mnist_core.runs.worker import work  # imports torch

    work(*(Path(argument) for argument in sys.argv[1:3]))
