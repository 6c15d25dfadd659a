"""The routes on a port, and a run to ask about."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mnist_core.runs.run import Run
from mnist_core.system.settings import runs_folder
from tests.helpers import ROOT
from tests.helpers.web import Site, site

STOPPED = ROOT / "tests" / "fixtures" / "20261126-144528-compact-20k-16aa"


@pytest.fixture(scope="module")
def shared_web() -> Iterator[Site]:
    with site() as running:
        yield running


@pytest.fixture
def web(shared_web, caplog) -> Iterator[Site]:
    """The routes without limits to their hosts; what is logged fails the test."""
    caplog.set_level(logging.WARNING)
    yield shared_web
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.fixture
def stopped() -> Run:
    """A run of an earlier version, stopped, with a model."""
    return Run(Path(shutil.copytree(STOPPED, runs_folder() / STOPPED.name)))
