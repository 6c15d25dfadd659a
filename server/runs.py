"""GET /api/models, /api/runs, and /api/runs/ID with its /events and /look."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any

import anyio
from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response

from server import listing, looks
from server.answers import json_response
from server.curves import Followers
from server.errors import RequestError
from server.events import has_ended_before, log_events, position
from server.stream import Closing, EventStream
from server.traffic import Traffic

MOST_BEHIND, MOST_SEEDS = 10, 19
THREADS = 4


class Runs:
    """Answers what reads the runs' folders, in THREADS threads; events go out within `streams`."""

    def __init__(self, traffic: Traffic | None = None, streams: Traffic | None = None) -> None:
        self.traffic = traffic or Traffic(per_second=100, burst=200, at_once=32)
        self.streams = streams or Traffic(per_second=50, burst=200, at_once=200)
        self._limiter = anyio.CapacityLimiter(THREADS)
        self._followers, self._closing = Followers(self._limiter), Closing()

    async def models(self, request: Request) -> Response:
        """The route. Raises RequestError, as all below."""
        return await self._json(listing.models)

    async def list(self, request: Request) -> Response:
        """The route."""
        _require_runs()
        limit = request.query_params.get("limit") or str(listing.USUAL_RUNS)
        if not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:9]) <= listing.MOST_RUNS):
            raise RequestError(400, f"'limit' is a number from 1 to {listing.MOST_RUNS}.")
        return await self._json(functools.partial(listing.runs, request.query_params.get("before", ""), int(limit)))

    async def one(self, request: Request) -> Response:
        """The route."""
        _require_runs()
        return await self._json(functools.partial(listing.run, request.path_params["run"]))

    async def look(self, request: Request) -> Response:
        """The route: what a network that trains is just now, for a page that watches."""
        _require_runs()
        asked = request.path_params["run"], request.query_params.get("since", ""), request.query_params.get("image", "")
        return await self._json(functools.partial(looks.look, *asked))

    async def events(self, request: Request) -> Response:
        """The route: each event of the log, or with `?view=curves` each newest state of the curves."""
        _require_runs()
        view = request.query_params.get("view", "events")
        if view not in ("events", "curves"):
            raise RequestError(400, "'view' is events or curves.")
        with contextlib.ExitStack() as held:
            held.enter_context(self.streams.admitted())
            run = await self._in_thread(functools.partial(listing.find_run, request.path_params["run"]))
            if view == "curves":
                behind, seeds = [
                    await self._in_thread(functools.partial(_known, request.query_params.get(name, ""), most))
                    for name, most in (("behind", MOST_BEHIND), ("seeds", MOST_SEEDS))
                ]
                messages = self._followers.curves(run, behind, seeds)
            else:
                start = await self._in_thread(functools.partial(position, request, run.metrics_path))
                if start and await self._in_thread(functools.partial(has_ended_before, run, start)):
                    return Response(status_code=204)  # a browser then comes no more
                messages = log_events(run, start, self._limiter)
            return EventStream(messages, self._closing, held.pop_all())

    async def _json(self, read: Callable[[], dict[str, Any]]) -> Response:
        with self.traffic.admitted():
            return json_response(await self._in_thread(read))

    async def _in_thread(self, read: Callable[[], Any]) -> Any:
        from mnist_core.errors import LabError

        try:
            return await to_thread.run_sync(read, limiter=self._limiter)
        except LabError as error:
            raise RequestError(404, str(error)) from None


def _known(names: str, most: int) -> list[Any]:
    """The runs of the first `most` of these names, apart by commas; a deleted one is no reason to hide the others."""
    found = []
    for name in [name for name in names.split(",") if name][:most]:
        with contextlib.suppress(RequestError):
            found.append(listing.find_run(name))
    return found


def _require_runs() -> None:
    """Raises RequestError 403 where the lab's mode shows no runs."""
    from mnist_core.system.settings import limits

    if limits().mode == "draw-only":
        raise RequestError(403, "This lab shows its Draw page only (MNIST_LAB_MODE=draw-only): it shows no runs.")
