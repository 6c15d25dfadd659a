"""Atomic files: written to a temporary name, fsynced, then moved into place."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import shutil
from pathlib import Path
from typing import Any

MIN_FREE_BYTES = 65_536  # what the smallest writes of a run need: with less free, a disk counts as full


def write_atomic(path: Path, content: bytes, durable: bool = True, keep: Path | None = None) -> None:
    """Writes `content` so that a reader finds the old file or the new one at any moment. Raises OSError.

    `durable=False` does not wait for the disk: the file may be lost with the power. `keep` is where the old file is
    moved to; a reader who finds none at `path` finds it there.
    """
    with contextlib.ExitStack() as cleanup:
        temporary = _temporary(path, content, durable, cleanup)
        if keep is not None:
            with contextlib.suppress(FileNotFoundError):
                os.replace(path, keep)
        os.replace(temporary, path)


def write_pair(first: tuple[Path, bytes], second: tuple[Path, bytes]) -> None:
    """Writes two files, of which `second` describes `first` and never lies beside a `first` it does not describe.

    A full disk leaves both old files as they are. Raises OSError.
    """
    with contextlib.ExitStack() as cleanup:
        moves = [(_temporary(path, content, True, cleanup), path) for path, content in (first, second)]
        second[0].unlink(missing_ok=True)
        for temporary, path in moves:
            os.replace(temporary, path)


def _temporary(path: Path, content: bytes, durable: bool, cleanup: contextlib.ExitStack) -> Path:
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    cleanup.callback(temporary.unlink, missing_ok=True)
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        if durable:
            os.fsync(file.fileno())
    return temporary


def remove_temporaries(folder: Path, but_of: tuple[str, ...]) -> None:
    """Deletes the temporary files of killed processes in and below `folder`, except those of the files `but_of`."""
    kept = tuple(f".{name}." for name in but_of)
    for temporary in folder.rglob(".*.tmp"):
        if not temporary.name.startswith(kept):
            with contextlib.suppress(OSError):
                temporary.unlink()


def json_bytes(value: Any) -> bytes:
    """`value` as indented JSON."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def write_json(path: Path, value: Any) -> None:
    """`value` as indented JSON, atomically. Raises OSError."""
    write_atomic(path, json_bytes(value))


def read_json(path: Path) -> Any:
    """The JSON in `path`. Raises OSError; ValueError where the file is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def disk_error_sentence(error: OSError) -> str:
    """Why a write failed and what to do, without the final stop: callers add "and press Resume" or the like."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "The disk is full. Free some space"
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return "The folder of the runs cannot be written. Make it writable"
    return f"A file cannot be written ({error.strerror or error}). Put that right"


def pending_disk_error(folder: Path) -> OSError | None:
    """The error that a write into `folder` would raise now, as far as it is known without writing."""
    if not os.access(folder, os.W_OK):
        return OSError(errno.EROFS, os.strerror(errno.EROFS), str(folder))
    with contextlib.suppress(OSError):
        if shutil.disk_usage(folder).free < MIN_FREE_BYTES:
            return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
    return None
