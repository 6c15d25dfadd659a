"""How much is answered at once: requests a second and under way, for all clients together.

A limit for each address would be of no use: a class comes from one, behind its school's router.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from server.errors import RequestError


class Traffic:
    """Admits `per_second` requests a second in the long run, `burst` after a silence, `at_once` under way.

    For the event loop's thread only. 30 people who draw with 15 requests a second each are 450 a second and 30 at once.
    """

    def __init__(
        self,
        per_second: float = 600.0,
        burst: int = 600,
        at_once: int = 64,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_second, self._burst, self._at_once, self._clock = per_second, burst, at_once, clock
        self._left, self._filled = float(burst), clock()
        self.under_way = 0

    @contextlib.contextmanager
    def admitted(self) -> Iterator[None]:
        """A request under way. Raises RequestError 429, which says when to come again."""
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._filled) * self._per_second)
        self._filled = now
        if self.under_way >= self._at_once:
            raise _too_many(f"{self._at_once} requests are under way", 1)
        if self._left < 1:
            raise _too_many(f"over {self._per_second:g} requests came in a second", 1)
        self._left -= 1
        self.under_way += 1
        try:
            yield
        finally:
            self.under_way -= 1


class Pace:
    """Spreads the pictures of drawings that are under way: `per_second` of all people together, in the long run.

    40 a second took a training 45 % of its rate, 20 take 16 % (`benchmarks/in_stroke.py`). The virtual
    schedule of GCRA: each answer takes the next place in it. For the event loop's thread only.
    """

    def __init__(self, per_second: float = 20.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._step, self._clock = 1 / per_second, clock
        self._place = 0.0

    def pause(self) -> float:
        """Seconds after which whoever is answered now should ask again."""
        now = self._clock()
        self._place = max(now, self._place + self._step)
        return self._place - now


def _too_many(what: str, seconds: int) -> RequestError:
    return RequestError(429, f"The lab is busy ({what}): try again in {seconds} s.", {"Retry-After": str(seconds)})
