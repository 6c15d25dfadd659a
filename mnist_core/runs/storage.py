"""The disk space that runs take, and their deletion: on request only, never while active, never when pinned."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from pathlib import Path

from filelock import Timeout

from mnist_core.errors import RunError
from mnist_core.runs.run import open_run
from mnist_core.system.settings import runs_folder

TRASH = ".trash"  # in the runs folder: deleted runs whose files are not all gone yet
MEGABYTE = 1_000_000


def size(folder: Path) -> int:
    """Bytes of all files in and below `folder`. Unreadable ones are not counted."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):  # it may be replaced or removed meanwhile
                total += os.lstat(os.path.join(where, name)).st_size
    return total


def delete_run(run_id: str, runs_dir: Path | str | None = None) -> None:
    """Deletes the run's folder: moves it away in one step, then deletes file by file. Raises RunError.

    Refused while it is active or pinned, and where the name is no run's or that of a link.
    """
    root = Path(runs_dir if runs_dir is not None else runs_folder())
    run = open_run(run_id, root)
    if run.folder.is_symlink():
        raise RunError(f"Run {run.id} is a link to another folder: remove it by hand.")
    if run.pinned:
        raise RunError(f"Run {run.id} is pinned: unpin it first.")
    if run.status().active:
        raise RunError(f"Run {run.id} is {run.status().state}: stop it first.")
    try:
        with run.lock.acquire(timeout=0):  # no process can resume the run meanwhile
            if run.status().state == "queued":
                raise RunError(f"Run {run.id} is queued: stop it first.")
            (root / TRASH).mkdir(exist_ok=True)
            os.replace(run.folder, root / TRASH / f"{run.id}-{secrets.token_hex(4)}")
    except Timeout:
        raise RunError(f"Run {run.id} is being executed: stop it first.") from None
    except OSError as error:
        raise RunError(f"Run {run.id} cannot be deleted ({error.strerror}).") from None
    for removed in list((root / TRASH).iterdir()):  # with the rest of earlier, interrupted deletions
        shutil.rmtree(removed, ignore_errors=True)
