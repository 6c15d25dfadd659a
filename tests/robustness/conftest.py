"""A trained run to mutate, and surroundings in which nothing may change."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mnist_core.config import TrainConfig
from mnist_core.runs.execute import execute
from mnist_core.runs.run import Run, create_run
from tests.helpers.runs import RESUMABLE


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Run:
    run = create_run(RESUMABLE.replace(epochs=2), tmp_path_factory.mktemp("trained"))
    execute(run)
    assert run.status().state == "completed"
    return run


@pytest.fixture
def surroundings(tmp_path, monkeypatch) -> Iterator[Path]:
    """`tmp_path/inside` is where inputs lie; all else below `tmp_path` must stay as it is, and be all there is."""
    (tmp_path / "inside").mkdir()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious.txt").write_text("precious")
    (tmp_path / "config.json").write_text(TrainConfig().model_dump_json())  # as if all this were a run
    (tmp_path / "status.json").write_text('{"state": "running"}')
    monkeypatch.chdir(outside)
    before = snapshot(tmp_path)
    yield tmp_path / "inside"
    assert snapshot(tmp_path) == before


def snapshot(root: Path) -> dict[str, tuple[int, bytes]]:
    files = (path for path in root.rglob("*") if path.is_file() and not path.is_relative_to(root / "inside"))
    return {str(path.relative_to(root)): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}
