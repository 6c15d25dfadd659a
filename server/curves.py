"""The curves of a run that trains, for whoever watches: snapshots of its figures, one follower for all.

A rerun of a page's fragment costs the browser more than the drawing: Streamlit compares the whole page anew. So while
a training runs, a page listens here for the newest figures (ui/live/chart.js).
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator, Callable, Hashable
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
from anyio import to_thread

from server.stream import HEARTBEAT, HEARTBEAT_SECONDS, Messages, message

if TYPE_CHECKING:
    from mnist_core.runs.run import Run
    from mnist_core.runs.seed_snapshots import SeedSnapshots
    from mnist_core.runs.snapshot import Snapshots

INTERVAL_SECONDS = 1.0
BRISK_SECONDS = 3.0
"""After a beginning or a change of state the figures are looked at a few times a second for so long."""
BRISK_INTERVAL_SECONDS = 0.2
LINGER_SECONDS = 5.0  # a follower that nobody listens to ends: a page that is made anew listens again at once
_log = logging.getLogger(__name__)


class Follower:
    """A task that keeps the newest snapshot as long as somebody listens and the run is active."""

    def __init__(self, snapshots: Callable[[], Snapshots | SeedSnapshots], limiter: anyio.CapacityLimiter) -> None:
        self.listeners = 0
        self.ended = False
        self._make, self._limiter = snapshots, limiter
        self._newest, self._version = b"", 0
        self._changed = asyncio.Event()
        self._task = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        try:
            snapshots = await to_thread.run_sync(self._make, limiter=self._limiter)
            await self._look_until_the_end(snapshots)
        except Exception as error:
            from mnist_core.errors import LabError

            if not isinstance(error, LabError | OSError):  # those the page meets too, and says
                _log.exception("the curves of a run")
        finally:
            self.ended = True
            self._changed.set()

    async def _look_until_the_end(self, snapshots: Snapshots | SeedSnapshots) -> None:
        shown: tuple[Any, ...] = ()
        status, state, brisk_until = "", None, time.monotonic() + BRISK_SECONDS
        alone_since: float | None = None
        while alone_since is None or time.monotonic() - alone_since < LINGER_SECONDS:
            begun = time.monotonic()
            found = await to_thread.run_sync(_look, snapshots, shown, limiter=self._limiter)
            shown, status, active, content = found
            if content:
                self._publish(content)
            if status != state:
                state, brisk_until = status, begun + BRISK_SECONDS
            if not active:
                return
            interval = BRISK_INTERVAL_SECONDS if begun < brisk_until else INTERVAL_SECONDS
            await asyncio.sleep(max(0.05, begun + interval - time.monotonic()))
            alone_since = None if self.listeners else alone_since or time.monotonic()

    def _publish(self, content: bytes) -> None:
        self._newest, self._version = content, self._version + 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def messages(self) -> Messages:
        """Each newest snapshot that is another than the one before; the last message is named `closed`."""
        seen = 0
        while True:
            if self._version != seen:
                seen = self._version
                yield message(self._newest)
            elif self.ended:
                yield message(b"{}", "closed")
                return
            else:
                changed = self._changed
                with anyio.move_on_after(HEARTBEAT_SECONDS) as quiet:
                    await changed.wait()
                if quiet.cancelled_caught:
                    yield HEARTBEAT


def _look(snapshots: Snapshots | SeedSnapshots, shown: tuple[Any, ...]) -> tuple[tuple[Any, ...], str, bool, bytes]:
    """What there is to show now, its state, whether the run is active, and the message; empty if `shown` says it."""
    from mnist_core.runs.snapshot import stage

    status, figures, progress = snapshots.take()
    state = stage(status)
    now = (state, id(figures), progress, figures)  # which are the same object until there is more
    if shown and now[:3] == shown[:3]:
        return shown, state, status.active, b""
    content: dict[str, Any] = {
        key: {"points": sum(len(trace["y"]) for trace in figure["data"]), "figure": figure}
        for key, figure in figures.items()
    }
    if progress is not None:
        content[f"progress-{snapshots.run.id}"] = {"progress": progress}
    text = json.dumps({"time": time.time(), "state": state, "figures": content}, default=lambda array: array.tolist())
    return now, state, status.active, text.encode()


class Followers:
    """One follower for each run and the runs shown with it, however many listen. For the event loop's thread only."""

    def __init__(self, limiter: anyio.CapacityLimiter) -> None:
        self._limiter = limiter
        self._running: dict[Hashable, Follower] = {}

    async def curves(self, run: Run, behind: list[Run], seeds: list[Run]) -> Messages:
        """The run's curves before those of the runs `behind`; with `seeds` the mean over the run and these."""

        def snapshots() -> Snapshots | SeedSnapshots:
            from mnist_core.runs.seed_snapshots import SeedSnapshots
            from mnist_core.runs.snapshot import Snapshots

            return SeedSnapshots([run, *seeds]) if seeds else Snapshots(run, behind)

        key = (run.folder, tuple(other.folder for other in behind), tuple(other.folder for other in seeds))
        async with self._listening(key, snapshots) as follower, aclosing(follower.messages()) as parts:
            async for part in parts:
                yield part

    @asynccontextmanager
    async def _listening(
        self, key: Hashable, snapshots: Callable[[], Snapshots | SeedSnapshots]
    ) -> AsyncGenerator[Follower, None]:
        self._running = {other: follower for other, follower in self._running.items() if not follower.ended}
        follower = self._running.get(key) or Follower(snapshots, self._limiter)
        self._running[key] = follower
        follower.listeners += 1
        try:
            yield follower
        finally:
            follower.listeners -= 1
