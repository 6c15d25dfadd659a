"""What the server does from start to end: ui/lifespan.py, and what it loads in the background: ui/warmup.py."""

import asyncio
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from mnist_core.config import TrainConfig
from mnist_core.errors import RunError
from mnist_core.runs.queue import Queue
from mnist_core.runs.run import create_run
from mnist_core.system.settings import runs_folder
from tests.helpers import ROOT
from ui import cache, lifespan, warmup


def served(monkeypatch, seconds: float = 1.0) -> None:
    """A server's life of so many seconds, in which nothing is loaded."""
    monkeypatch.setattr(warmup, "start", lambda: None)

    async def live() -> None:
        async with lifespan.lifespan(None):
            await asyncio.sleep(seconds)

    with ThreadPoolExecutor(1) as pool:  # the test session's thread may have a loop already, of the browser's
        pool.submit(asyncio.run, live()).result()


class Workers:
    def __init__(self) -> None:
        self.warmed, self.closed = 0, 0

    def warm(self) -> None:
        self.warmed += 1

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def workers(monkeypatch) -> Workers:
    found = Workers()
    monkeypatch.setattr(cache, "workers", lambda: found)
    monkeypatch.setattr(cache, "close_workers", found.close)
    return found


def test_runs_left_waiting_by_an_earlier_server_get_a_worker(workers, monkeypatch):
    Queue(runs_folder()).add(create_run(TrainConfig(dataset="digits")))
    served(monkeypatch)
    assert (workers.warmed, workers.closed) == (1, 1)


def test_without_a_run_no_worker_is_started(workers, monkeypatch):
    served(monkeypatch)
    assert (workers.warmed, workers.closed) == (0, 1)


def test_a_read_only_server_starts_no_worker(workers, monkeypatch):
    Queue(runs_folder()).add(create_run(TrainConfig(dataset="digits")))
    monkeypatch.setenv("MNIST_LAB_MODE", "read-only")
    served(monkeypatch)
    assert workers.warmed == 0


LIGHT = """
import sys
import streamlit
before = set(sys.modules)
from ui import actions, cache, page, warmup
from ui.widgets import confirm, dataset, model, query_params, settings
from ui.widgets.layers import show_layers
from ui.panels import queue, run, run_controls, run_list
from mnist_core.runs.run import list_runs
from mnist_core.data.mnist import mnist_available
list_runs()
mnist_available("nowhere")
from mnist_core.runs.catalogue import models
assert models()
heavy = {"torch", "scipy", "sklearn", "torchvision", "captum"} & set(sys.modules)
print(",".join(sorted(heavy)) or "light")
"""


@pytest.mark.parametrize("page", ["home.py", "pages/train.py"])
def test_pages_import_nothing_heavy(page):
    """Home and Train appear without torch, scikit-learn and scipy: neither their imports nor what they list need it."""
    imports = "".join(
        line + "\n"
        for line in (ROOT / page).read_text(encoding="utf-8").splitlines()
        if line.startswith(("import ", "from "))
    )
    found = subprocess.run(
        [sys.executable, "-c", imports + LIGHT], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    assert found.stdout.split()[-1] == "light"


@pytest.fixture
def loading(monkeypatch) -> list[str]:
    """A process in which nothing is loaded yet; → what is loaded, in order."""
    order: list[str] = []
    monkeypatch.setattr(warmup, "import_module", order.append)
    monkeypatch.setattr(warmup, "_load_model", lambda: order.append("model"))
    monkeypatch.setattr(warmup, "AFTER_PAGE_SECONDS", 0.1)
    for name in ("_page_sent", "_page_seen", "_ready", "_tables_expected"):
        monkeypatch.setattr(warmup, name, threading.Event())
    monkeypatch.setattr(warmup, "_thread", None)
    monkeypatch.setattr(warmup, "_later", [])
    return order


def test_the_loading_waits_for_a_page_and_ends_ready(loading):
    warmup.start()
    time.sleep(0.3)
    assert loading == list(warmup.PAGES)
    assert not warmup.ready()
    warmup.page_sent(lambda: loading.append("worker"))
    assert warmup._ready.wait(10)
    assert loading == [*warmup.PAGES, *warmup.TABLES, "model", "worker"]
    warmup.page_sent(lambda: loading.append("another"))
    assert loading[-1] == "another"


@pytest.mark.parametrize(
    ("path", "soon"),
    [("/draw", True), ("/base/results/", True), ("/", False), ("/train", False), ("/static/js/draw.js", False)],
)
def test_pandas_is_loaded_before_a_page_that_needs_it(loading, path, soon):
    passed_on: list[str] = []

    async def app(scope, receive, send):
        passed_on.append(scope["path"])

    asking = warmup.Expect(app)({"type": "http", "path": path}, None, None)
    with pytest.raises(StopIteration):
        asking.send(None)
    assert passed_on == [path]
    warmup.start()
    time.sleep(0.3)
    assert loading == [*warmup.PAGES, *(warmup.TABLES if soon else ())]
    warmup.page_sent()
    assert warmup._ready.wait(10)
    assert loading[-1] == "model"


def test_a_worker_that_cannot_start_holds_nothing_up(loading):
    def fail() -> None:
        raise RunError("No training process can be started.")

    warmup.page_sent(fail)
    assert warmup._ready.wait(10)
    assert loading[-1] == "model"
    with pytest.raises(RunError):  # the page shows it as soon as it is run again
        warmup.page_sent(fail)


def test_what_cannot_be_loaded_makes_nobody_wait(loading, monkeypatch):
    def fail(*_: object) -> None:
        raise ImportError("broken")

    monkeypatch.setattr(warmup, "import_module", fail)
    monkeypatch.setattr(warmup, "_load_model", fail)
    monkeypatch.setattr(warmup, "PATIENCE_SECONDS", 0.0)
    with pytest.raises(ImportError):
        warmup._load()
    assert warmup.ready()
