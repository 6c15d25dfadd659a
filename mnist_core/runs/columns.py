"""metrics.columns: the numbers of a metrics.jsonl once more, so that a long run opens without its text being parsed.

A row for each event, in the order of the log, of four little-endian float64: the offset at which the event's line ends,
and `step`, `loss` and `accuracy` of a `step` event. Another event has nan there, and is read from its line. The rows
are a copy of the log up to the last row's offset, never more: the log is the truth. What is missing of them is read
from the log, and rows that do not match it are dropped.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import numpy as np

from mnist_core.runs.lines import parse_line, read_lines

COLUMNS = "metrics.columns"
WIDTH = 4
ROW_BYTES = 8 * WIDTH
_ROWS = 2**15  # read at a time: 1 MB
_BUFFERED_ROWS = 256
_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
NAN = float("nan")


class MismatchError(ValueError):
    """The rows are not those of this log."""


def covered(log: Path, columns: Path) -> tuple[int, int]:
    """(whole rows, offset in the log up to which they go); (0, 0) where there are none or the last one does not match.

    Looks at the last row only. Raises OSError.
    """
    try:
        rows = columns.stat().st_size // ROW_BYTES
        if not rows:
            return 0, 0
        with columns.open("rb") as file:
            file.seek(max(rows - 2, 0) * ROW_BYTES)
            last = np.frombuffer(file.read(min(rows, 2) * ROW_BYTES), "<f8").reshape(-1, WIDTH)
        with log.open("rb") as file:
            _match(file, last[-1], last[-2, 0] if len(last) > 1 else 0.0)
    except (FileNotFoundError, MismatchError):
        return 0, 0
    return rows, int(last[-1, 0])


def _match(log: IO[bytes], row: np.ndarray, begin: float) -> bytes:
    """The row's line, which is the last of those between the offset `begin` and its end. Raises MismatchError."""
    if not 0 <= begin < row[0] <= os.fstat(log.fileno()).st_size:
        raise MismatchError
    log.seek(int(begin))
    lines = log.read(int(row[0] - begin)).splitlines(keepends=True)
    found = parse_line(lines[-1]) if lines and lines[-1].endswith(b"\n") else None
    if found is None or isinstance(found, tuple) == bool(np.isnan(row[1])):
        raise MismatchError
    if isinstance(found, tuple) and found != tuple(row[1:].tolist()):
        raise MismatchError
    return lines[-1]


def read_columns(log: Path, columns: Path, count: int) -> Iterator[np.ndarray | bytes]:
    """What the first `count` rows hold, in order: (n, 3) float64 of steps in a row, or the line of another event.

    After each (n, 3) comes the line of the last of its steps. Raises OSError, and MismatchError as soon as a row does
    not match the log: what came before it is void too. The numbers of steps are compared with their lines in samples.
    """
    end = 0.0
    with columns.open("rb") as file, log.open("rb") as lines:
        size = os.fstat(lines.fileno()).st_size
        for start in range(0, count, _ROWS):
            content = file.read(min(_ROWS, count - start) * ROW_BYTES)
            if not content or len(content) % ROW_BYTES:
                raise MismatchError
            rows = np.frombuffer(content, "<f8").reshape(-1, WIDTH)
            begins = np.concatenate([[end], rows[:-1, 0]])
            steps = ~np.isnan(rows[:, 1])
            if not (rows[:, 0] > begins).all() or rows[-1, 0] > size or not np.isfinite(rows[steps]).all():
                raise MismatchError
            first = 0
            for place in [*np.flatnonzero(~steps).tolist(), len(rows)]:
                if place > first:
                    yield rows[first:place, 1:]
                    yield _match(lines, rows[place - 1], begins[place - 1])
                if place < len(rows):
                    yield _match(lines, rows[place], begins[place])
                first = place + 1
            end = rows[-1, 0]


def log_rows(log: Path, offset: int = 0) -> Iterator[tuple[float, float, float, float]]:
    """The rows of what the log holds behind `offset`. Raises OSError."""
    for end, line in read_lines(log, offset):
        found = parse_line(line)
        if found is not None:
            yield (end, *found) if isinstance(found, tuple) else (end, NAN, NAN, NAN)


def rebuild(log: Path, columns: Path) -> None:
    """Writes all rows anew; a reader finds the old file or the new one. Raises OSError."""
    temporary = columns.with_name(f".{columns.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("wb") as file:
            writer = _Rows(file)
            for row in log_rows(log):
                writer.add(*row)
            writer.flush()
        os.replace(temporary, columns)
    finally:
        temporary.unlink(missing_ok=True)


class _Rows:
    """Appends rows to a file, many at a time."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._rows: list[tuple[float, float, float, float]] = []

    def add(self, end: float, step: float = NAN, loss: float = NAN, accuracy: float = NAN) -> None:
        self._rows.append((end, step, loss, accuracy))
        if len(self._rows) >= _BUFFERED_ROWS:
            self.flush()

    def flush(self) -> None:
        content = np.array(self._rows, "<f8").tobytes()
        if self._file.write(content) < len(content):
            raise OSError(errno.ENOSPC, "only a part was written")
        self._rows.clear()


class ColumnWriter:
    """Keeps the columns beside the log of the process that executes a run. Where they cannot be written there are
    none, and nothing else is wrong: no method raises OSError."""

    def __init__(self, log: Path) -> None:
        columns = log.with_name(COLUMNS)
        self._file: IO[bytes] | None = None
        try:
            rows, end = covered(log, columns)
            # unbuffered: what a full disk refuses must not be tried again later, out of its place
            self._file = os.fdopen(os.open(columns, _FLAGS, 0o666), "r+b", buffering=0)
            self._rows = _Rows(self._file)
            self._file.truncate(rows * ROW_BYTES)
            self._file.seek(0, os.SEEK_END)
            for row in log_rows(log, end):
                self._rows.add(*row)
        except OSError:
            if self._file is not None:
                self._file.close()
            self._file = None

    def _do(self, action: Callable[[], None]) -> None:
        if self._file is None:
            return
        try:
            action()
        except OSError:
            self._file.close()
            self._file = None

    def add(self, end: int, line: bytes) -> None:
        """Takes in a line of the log that was written and ends at offset `end`."""
        found = parse_line(line)
        if found is not None:
            self._do(lambda: self._rows.add(end, *(found if isinstance(found, tuple) else ())))

    def flush(self) -> None:
        """Writes what is not written yet."""
        self._do(lambda: self._rows.flush())

    def close(self) -> None:
        self.flush()
        if self._file is not None:
            self._file.close()
