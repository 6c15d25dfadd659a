"""The soak's judge of files: it lets a good run pass, tears included that a kill may leave, and finds each damage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mnist_core.config import TrainConfig
from mnist_core.runs.execute import execute
from mnist_core.runs.run import Run, create_run

pytest.importorskip("playwright")
pytest.importorskip("websockets")
from benchmarks.soak import corrupted


@pytest.fixture
def run() -> Run:
    run = create_run(TrainConfig(recipe="quick", dataset="digits", epochs=2), owner="Ann")
    execute(run)
    return run


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_good_run_passes(run):
    assert corrupted(run) == []


def test_a_torn_line_passes_at_the_end_and_before_a_resume_only(run):
    path = run.folder / "metrics.jsonl"
    whole = path.read_text()
    path.write_text(whole + '{"event": "st')
    assert corrupted(run) == []
    path.write_text(whole + '{"event": "st\n{"event": "resume", "step": 1, "epoch": 0}\n')
    assert corrupted(run) == []
    path.write_text('{"event": "st\n' + whole)
    assert len(corrupted(run)) == 1


def test_weights_without_a_card_are_no_checkpoint_yet(run):
    next(run.folder.glob("checkpoints/*/card.json")).unlink()
    assert corrupted(run) == []


@pytest.mark.parametrize(
    ("pattern", "damage"),
    [
        ("checkpoints/*/model.safetensors", flip),
        ("checkpoints/*/card.json", lambda path: path.write_text(path.read_text()[:-20])),
        ("config.json", lambda path: path.write_text("{")),
        ("status.json", lambda path: path.write_text("")),
        ("meta.json", lambda path: path.write_bytes(b"\xff\xfe")),
        ("resume.pt", lambda path: path.write_bytes(path.read_bytes()[:-200])),
        ("metrics.jsonl", lambda path: path.write_text(path.read_text().replace('"event"', '"even', 3))),
    ],
)
def test_each_damage_is_found(run, pattern: str, damage: Callable[[Path], object]):
    damage(next(run.folder.glob(pattern)))
    assert any(pattern.rsplit("/", 1)[-1].split(".")[0] in each or "checkpoints" in each for each in corrupted(run))
