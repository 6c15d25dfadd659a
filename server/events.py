"""The events of a run as they are written: each line of its metrics.jsonl, from any position to the run's end."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread
from starlette.requests import Request

from server.errors import RequestError
from server.stream import HEARTBEAT, HEARTBEAT_SECONDS, Messages, message

if TYPE_CHECKING:
    from mnist_core.runs.run import Run

LOOK_SECONDS = 0.5
BATCH_BYTES = 2**18
MOST_DIGITS = 15


def position(request: Request, path: Path) -> int:
    """Where to begin in the log at `path`, in bytes: `?from=`, or behind the event that the client had last.

    A position within a line means the line after it, `end` the end of the log. Raises RequestError 400.
    """
    text = request.headers.get("last-event-id") or request.query_params.get("from") or "0"
    try:
        size = path.stat().st_size
    except OSError:  # nothing has been measured yet
        size = 0
    if text == "end":
        text = str(size)
    if not (text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS):
        raise RequestError(400, "A position is the id of an event (a number of bytes), or 'end'.")
    start = int(text)
    if start > size:
        raise RequestError(400, f"The position {start} is behind the end of the events, which is {size}.")
    return _beginning_of_line(path, start)


def _beginning_of_line(path: Path, start: int) -> int:
    if start == 0:
        return 0
    with path.open("rb") as file:
        file.seek(start - 1)
        if file.read(1) == b"\n":
            return start
        while (part := file.readline(BATCH_BYTES)) and not part.endswith(b"\n"):
            pass
        return file.tell()


async def log_events(run: Run, start: int, limiter: anyio.CapacityLimiter) -> Messages:
    """Every event behind `start`; its id is the position behind it. The last message is named `closed`."""
    quiet = 0.0
    while True:
        active = (await to_thread.run_sync(run.status, limiter=limiter)).active  # before the look for the last events
        while True:
            found, start = await to_thread.run_sync(_batch, run.metrics_path, start, limiter=limiter)
            if not found:
                break
            quiet = 0.0
            yield found
        if not active:
            yield message(b"{}", "closed")
            return
        await anyio.sleep(LOOK_SECONDS)
        quiet += LOOK_SECONDS
        if quiet >= HEARTBEAT_SECONDS:
            quiet = 0.0
            yield HEARTBEAT


def _batch(path: Path, start: int) -> tuple[bytes, int]:
    """Some whole lines behind `start` as messages, and the position behind them; damaged lines are left out."""
    from mnist_core.runs.lines import parse_line, read_lines

    found: list[bytes] = []
    size = 0
    try:
        for end, line in read_lines(path, start):
            start = end
            if parse_line(line) is not None:
                found.append(message(line, number=end))
                size += len(line)
                if size > BATCH_BYTES:
                    break
    except OSError:  # not there yet, or deleted
        return b"", start
    return b"".join(found), start


def has_ended_before(run: Run, start: int) -> bool:
    """Whether nothing will come behind `start`."""
    return not run.status().active and (not run.metrics_path.exists() or start >= os.path.getsize(run.metrics_path))
