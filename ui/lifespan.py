"""What the server does from its start to its end, besides answering."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def lifespan(_app: Any) -> AsyncIterator[None]:
    """Entered before the server listens, left when it shuts down."""
    yield
