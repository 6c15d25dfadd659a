"""Pages through AppTest train nothing, but where a test asks for it."""

from __future__ import annotations

import pytest


@pytest.fixture
def with_workers() -> None:
    """For a test whose page trains in a process of its own."""


@pytest.fixture(autouse=True)
def _no_workers(request) -> None:
    if "with_workers" not in request.fixturenames:
        request.getfixturevalue("no_workers")
