"""Progress: the type of callbacks that report how much of a piece of work is done."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[float], None]
"""Called with the share done, in (0, 1]."""
