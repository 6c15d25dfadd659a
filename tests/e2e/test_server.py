"""What the application adds to Streamlit's own server: deep links, errors with an id, the queue after a restart."""

from __future__ import annotations

import os
import re
import signal
import time

import pytest
from playwright.sync_api import expect

from mnist_core.config import TrainConfig
from mnist_core.runs.queue import Queue
from mnist_core.runs.run import create_run
from tests.e2e.lab import ROOT, server, settled
from tests.helpers import until

pytestmark = pytest.mark.browser
APP = """import sys
sys.path.insert(0, {root!r})
import streamlit as st
from ui.errors import show_error
app = st.App("home.py", on_script_error=show_error)
"""
HOME = """import streamlit as st
st.markdown("before")
if st.button("Break"):
    raise RuntimeError("secret detail")
"""


def test_an_unexpected_error_is_a_sentence_with_an_id(page, tmp_path):
    (tmp_path / "app.py").write_text(APP.format(root=str(ROOT)))
    (tmp_path / "home.py").write_text(HOME)
    with server(tmp_path, tmp_path, tmp_path / "app.py") as running:
        page.goto(running.url)
        page.get_by_role("button", name="Break").click()
        said = page.get_by_role("alert")
        expect(said).to_contain_text("Something went wrong here that the lab did not expect")
        text = said.inner_text()
        assert "secret detail" not in page.content()
    (name,) = set(re.findall(r"\b[0-9a-f]{6}\b", text))
    log = (tmp_path / "server.log").read_text()
    assert f"Error {name}" in log
    assert "RuntimeError: secret detail" in log


@pytest.mark.parametrize("path", ["", "train", "draw", "results", "compare", "data", "inside"])
def test_a_deep_link_is_the_first_page_of_a_fresh_server(page, tmp_path, mnist_dir, path):
    title = path.capitalize() or "MNIST Lab"
    with server(tmp_path, mnist_dir) as running:
        page.goto(f"{running.url}/{path}")
        expect(page.get_by_role("heading", name=title, exact=True, level=1)).to_be_visible()
        settled(page)
        assert not page.get_by_test_id("stException").count()


def test_a_restarted_server_goes_on_with_the_queue_unvisited(tmp_path, chromium_path):
    (tmp_path / "runs").mkdir()
    config = TrainConfig(dataset="digits", model="mlp", epochs=1, batch_size=128, validation_fraction=0.2)
    run = create_run(config, tmp_path / "runs")
    Queue(tmp_path / "runs").add(run)
    with server(tmp_path, tmp_path / "no-data"):
        until(lambda: run.status().state == "completed", 120)


@pytest.mark.skipif(os.name == "nt", reason="ends by signal")
def test_a_server_that_is_told_to_end_ends_at_once(page, tmp_path):
    with server(tmp_path, tmp_path / "no-data") as running:
        page.goto(f"{running.url}/train")
        settled(page)
        begun = time.monotonic()
        os.killpg(running.pid, signal.SIGTERM)
        until(lambda: _ended(running.pid), 20)
        assert time.monotonic() - begun < 20
        assert "Traceback" not in (tmp_path / "server.log").read_text()


def _ended(pid: int) -> bool:
    """Whether the process is gone, or waits as a zombie for its parent."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True
