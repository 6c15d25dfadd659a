"""A server and a browser for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.e2e.lab import Lab, lab, stop_all

LONG = 120_000  # milliseconds; machines are shared and slow at times
expect.set_options(timeout=LONG)


@pytest.fixture
def page(browser):
    """A fresh browser without history; an error in its console fails the test."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(LONG)
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    yield page
    context.close()
    assert not problems, problems


@pytest.fixture(scope="module")
def shared_lab(tmp_path_factory, mnist_dir) -> Iterator[Lab]:
    with lab(tmp_path_factory.mktemp("lab"), mnist_dir) as running:
        yield running


@pytest.fixture
def mnist_lab(shared_lab) -> Iterator[Lab]:
    """A lab with MNIST in which nothing trains, shared by a module's tests: one that fails leaves the next in peace."""
    yield shared_lab
    stop_all(shared_lab)


@pytest.fixture(scope="module")
def bare_lab(tmp_path_factory, chromium_path) -> Iterator[Lab]:
    """A lab that has never seen MNIST."""
    folder = tmp_path_factory.mktemp("bare")
    with lab(folder, folder / "no-data") as running:
        yield running
