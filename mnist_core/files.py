"""Files that are whole or not there: written to a temporary name, fsynced, then moved into place."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any


def write_atomic(path: Path, content: bytes, durable: bool = True) -> None:
    """Writes `content` so that a reader, at any moment, finds the old file or the new one. Raises OSError.

    What need not outlive a loss of power does without the wait for the disk: `durable=False`.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """`value` as indented JSON, atomically. Raises OSError."""
    write_atomic(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """The JSON in `path`. Raises OSError, or ValueError when it is no JSON."""
    return json.loads(path.read_text(encoding="utf-8"))
