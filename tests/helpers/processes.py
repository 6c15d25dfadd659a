"""Several processes of one training, begun as torchrun begins them, but without its agent: nobody ends the others."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.helpers import ROOT, free_port


def place(rank: int, size: int, port: int) -> dict[str, str]:
    """The variables of torchrun for one of `size` processes on this machine."""
    numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size, "MASTER_PORT": port}
    return {"MASTER_ADDR": "127.0.0.1", **{name: str(number) for name, number in numbers.items()}}


def begun(
    arguments: Sequence[str], ranks: Sequence[int], size: int, folders: Sequence[Path] = (), **variables: str
) -> list[subprocess.Popen]:
    """`python -m mnist_core ARGUMENTS` for each of `ranks`, in its folder of `folders` where there are some."""
    port = free_port()
    return [
        subprocess.Popen(
            [sys.executable, "-m", "mnist_core", *arguments],
            cwd=folders[rank] if folders else ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **place(rank, size, port), **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in ranks
    ]


def ended(processes: Sequence[subprocess.Popen], seconds: float = 120) -> list[tuple[int, str, str]]:
    """Status, stdout and the last line of stderr of each, when all have ended."""
    found = []
    for process in processes:
        out, err = process.communicate(timeout=seconds)
        found.append((process.returncode, out, [*err.replace("\r", "\n").strip().split("\n")][-1]))
    return found
