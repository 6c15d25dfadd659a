"""What all tests share. Tests that need MNIST or a browser skip where these are missing.

MNIST_LAB_REQUIRE=mnist,browser,postgresql makes a missing one a failure, so that continuous integration cannot
pass by skipping.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import pytest

from mnist_core.cli import main
from mnist_core.config import Shape, TrainConfig
from mnist_core.data.dataset import Dataset
from mnist_core.data.loading import load_dataset
from mnist_core.data.mnist import mnist_available
from mnist_core.models.checkpoint import save_checkpoint
from mnist_core.models.classifier import build_model
from mnist_core.system.settings import data_folder

REQUIRED = os.environ.get("MNIST_LAB_REQUIRE", "").split(",")


# below tests/: what starts browsers, pages or processes, or trains for seconds
SLOW = (
    "e2e/",
    "pages/",
    "robustness/",
    "runs/test_control.py",
    "runs/test_execute.py",
    "runs/test_pool.py",
    "experiments/test_reproduce.py",
    "experiments/test_search_postgresql.py",
    "experiments/test_speed.py",
    "training/test_teachers.py",
    "test_notebook.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.relative_to(Path(__file__).parent).as_posix().startswith(SLOW):
            item.add_marker(pytest.mark.slow)


def _missing(what: str, reason: str) -> NoReturn:
    if what in REQUIRED:
        pytest.fail(f"{reason} (and MNIST_LAB_REQUIRE asks for {what})")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The data folder, whether MNIST is in it or not."""
    return data_folder().resolve()


@pytest.fixture(scope="session")
def mnist_dir(data_dir) -> Path:
    """A data folder that has MNIST."""
    if not mnist_available(data_dir):
        _missing("mnist", f"MNIST is not in {data_dir}: set MNIST_LAB_DATA")
    return data_dir


@pytest.fixture(scope="session")
def cifar_jpeg_path(data_dir) -> Path:
    """All of CIFAR-10 as JPEGs in a .zip, as a person might keep it."""
    path = data_dir / "cifar10-jpeg.zip"
    if not path.is_file():
        _missing("cifar10-jpeg", f"{path} is not there")
    return path


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The browser that tests drive."""
    try:
        from tests.e2e import lab
    except ModuleNotFoundError as error:
        _missing("browser", f"{error.name} is not installed")
    if not lab.CHROMIUM:
        _missing("browser", "There is no Chromium: install it or set MNIST_LAB_CHROMIUM")
    return lab.CHROMIUM


@pytest.fixture(scope="session")
def browser(chromium_path):
    """The one browser of a test session: Playwright allows no second one at a time."""
    from tests.e2e.lab import chromium

    with chromium() as started:
        yield started


@pytest.fixture(scope="session")
def postgresql_programs() -> None:
    """Skips where there is no PostgreSQL."""
    from tests.helpers.postgresql import programs

    if programs() is None or not find_spec("psycopg"):
        _missing("postgresql", "PostgreSQL or psycopg is not installed")


@pytest.fixture
def ask(capsys):
    """Runs a subcommand of the command line in this process → (exit status, stdout, stderr)."""

    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main(list(arguments))
        out, err = capsys.readouterr()
        return status, out, err

    return call


@pytest.fixture
def refused(ask):
    """The one line with which a request is refused."""

    def call(*arguments: str) -> str:
        status, out, err = ask(*arguments)
        assert status == 2, err
        assert out == ""
        lines = err.splitlines()
        assert len(lines) == 1, err
        assert lines[0].startswith("error: ")
        return lines[0]

    return call


@pytest.fixture(scope="session")
def tiny_data() -> Dataset:
    """300 training and 100 test images of the built-in digits."""
    digits = load_dataset("digits")
    return Dataset(
        "digits",
        digits.classes,
        digits.train_images[:300],
        digits.train_labels[:300],
        digits.test_images[:100],
        digits.test_labels[:100],
    )


@pytest.fixture
def colour_checkpoint(tmp_path) -> Path:
    """An untrained model of 3×32×32 pixels in 4 classes, for what reads 28×28 grey digits."""
    config = TrainConfig(dataset="digits", model="mlp")
    save_checkpoint(
        tmp_path / "colour",
        build_model(config, Shape(3, 32, 32, 4), [0.5] * 3, [0.2] * 3),
        architecture="mlp",
        classes=list("abcd"),
        input_shape=(3, 32, 32),
        dataset="folder:pictures",
        config=config,
        name="colour",
        epoch=1,
        step=5,
        train_seconds=1.5,
    )
    return tmp_path / "colour"


@pytest.fixture(autouse=True)
def _own_runs_folder(tmp_path, monkeypatch) -> Iterator[None]:
    monkeypatch.setenv("MNIST_LAB_RUNS", str(tmp_path / "runs"))
    yield
    if cache := sys.modules.get("ui.cache"):  # a test of pages, whose workers would outlive it
        cache.close_workers()


@pytest.fixture
def no_workers(monkeypatch) -> None:
    """Pages whose server has no processes that train: a run that is started waits in the queue for ever.

    A worker would warm up for ten seconds on both cores, beside the tests that follow.
    """
    from mnist_core.runs.calls import compute
    from mnist_core.runs.queue import Queue
    from mnist_core.runs.run import Run
    from mnist_core.system.settings import runs_folder
    from ui import cache

    class Nobody:
        def warm(self) -> None: ...

        def settled(self) -> bool:
            return True

        def start(self, run: Run) -> None:
            Queue(runs_folder()).add(run)

        def call(self, name: str, *arguments: object) -> object:
            return compute(name, arguments)

    monkeypatch.setattr(cache, "workers", Nobody)


@pytest.fixture
def no_mnist_and_no_workers(tmp_path, monkeypatch, no_workers) -> None:
    """Likewise, on a machine without MNIST."""
    monkeypatch.setenv("MNIST_LAB_DATA", str(tmp_path / "data"))
