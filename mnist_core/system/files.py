"""Files that are whole or not there: written to a temporary name, fsynced, then moved into place."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import shutil
from pathlib import Path
from typing import Any

FULL_BELOW_BYTES = 65_536  # what the smallest writes of a run need: with less free, a disk is as good as full


def write_atomic(path: Path, content: bytes, durable: bool = True, keep: Path | None = None) -> None:
    """Writes `content` so that a reader, at any moment, finds the old file or the new one. Raises OSError.

    What need not outlive a loss of power does without the wait for the disk: `durable=False`. With `keep` the old file
    is moved there, and a reader who finds none at `path` finds it there.
    """
    with contextlib.ExitStack() as rubbish:
        temporary = _temporary(path, content, durable, rubbish)
        if keep is not None:
            with contextlib.suppress(FileNotFoundError):
                os.replace(path, keep)
        os.replace(temporary, path)


def write_pair(first: tuple[Path, bytes], second: tuple[Path, bytes]) -> None:
    """Writes two files, of which `second` describes `first` and is never there beside another one. Raises OSError.

    A disk that is full leaves both old files as they are.
    """
    with contextlib.ExitStack() as rubbish:
        moves = [(_temporary(path, content, True, rubbish), path) for path, content in (first, second)]
        second[0].unlink(missing_ok=True)
        for temporary, path in moves:
            os.replace(temporary, path)


def _temporary(path: Path, content: bytes, durable: bool, rubbish: contextlib.ExitStack) -> Path:
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    rubbish.callback(temporary.unlink, missing_ok=True)
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        if durable:
            os.fsync(file.fileno())
    return temporary


def remove_temporaries(folder: Path, but_of: str) -> None:
    """Deletes what killed processes left of their writes in `folder` and below, except those of one file's name."""
    for temporary in folder.rglob(".*.tmp"):
        if not temporary.name.startswith(f".{but_of}."):
            with contextlib.suppress(OSError):
                temporary.unlink()


def json_bytes(value: Any) -> bytes:
    """`value` as indented JSON."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def write_json(path: Path, value: Any) -> None:
    """`value` as indented JSON, atomically. Raises OSError."""
    write_atomic(path, json_bytes(value))


def read_json(path: Path) -> Any:
    """The JSON in `path`. Raises OSError, or ValueError when it is no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def disk_error_sentence(error: OSError) -> str:
    """Why a disk refused a write, and what to do about it, as sentences that end before "press Resume"."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "The disk is full. Free some space"
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return "The folder of the runs cannot be written. Make it writable"
    return f"A file cannot be written ({error.strerror or error}). Put that right"


def pending_disk_error(folder: Path) -> OSError | None:
    """What a write into `folder` would fail with now, as far as that can be told without one."""
    if not os.access(folder, os.W_OK):
        return OSError(errno.EROFS, os.strerror(errno.EROFS), str(folder))
    with contextlib.suppress(OSError):
        if shutil.disk_usage(folder).free < FULL_BELOW_BYTES:
            return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
    return None
