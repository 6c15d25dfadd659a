"""The type of a function that is told how far a piece of work is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[float], None]
"""Called now and then with the share that is done, in (0, 1]."""
