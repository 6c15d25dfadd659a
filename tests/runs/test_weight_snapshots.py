"""Snapshots of a run's weights: when they are taken, that they change nothing, and what a kill leaves of them."""

from __future__ import annotations

import shutil

import pytest
import torch

from mnist_core.models.checkpoint import load_checkpoint
from mnist_core.models.weights_file import read_weights_file
from mnist_core.runs.execute import execute
from mnist_core.runs.run import Run
from mnist_core.runs.storage import delete_run, size
from mnist_core.runs.weight_snapshots import snapshot_path, snapshots, thinned
from tests.helpers.runs import RESUMABLE, Killed, created, timeless, weights

KEEPING = RESUMABLE.replace(snapshots=True)
EXPECTED = [0, 1, 2, 4, 8, 9, 16, 18, 27]  # 9 steps an epoch, 3 epochs


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    run = created(tmp_path_factory.mktemp("kept"), **KEEPING.model_dump())
    execute(run)
    return run


def sums(run: Run) -> dict[int, str]:
    """The checksum of the weights of each snapshot."""
    return {step: read_weights_file(path).card.weights_sha256 for step, path in snapshots(run).items()}


def test_they_are_taken_at_powers_of_two_and_after_epochs(run):
    assert list(snapshots(run)) == EXPECTED
    cards = [read_weights_file(path).card for path in snapshots(run).values()]
    assert [card.step for card in cards] == EXPECTED
    assert [card.epoch for card in cards] == [0, 0, 0, 0, 0, 1, 1, 2, 3]
    assert len(set(sums(run).values())) == len(EXPECTED)


def test_the_last_one_is_the_result(run):
    assert sums(run)[27] == load_checkpoint(run.checkpoint()).card.weights_sha256


def test_the_training_is_the_same_without(run, tmp_path):
    other = created(tmp_path, **RESUMABLE.model_dump())
    execute(other)
    assert not snapshots(other)
    assert timeless(other) == timeless(run)
    assert all(torch.equal(weights(run)[name], tensor) for name, tensor in weights(other).items())


@pytest.mark.parametrize("at", [3, 13, 17])
def test_a_killed_run_has_the_same_ones_in_the_end(run, tmp_path, at):
    """The steps since the saved state, of the end of an epoch, are taken again; a later snapshot is none of them."""

    def kill(event: dict) -> None:
        if event["event"] == "step" and event["step"] == at:
            raise Killed

    other = created(tmp_path, **KEEPING.model_dump())
    with pytest.raises(Killed):
        execute(other, on_event=kill)
    assert list(snapshots(other)) == [step for step in EXPECTED if step < at]
    shutil.copy(snapshot_path(run, 0), snapshot_path(other, 25))  # as other settings may have had it
    execute(other)
    assert other.status().state == "completed"
    assert sums(other) == sums(run)


def test_they_count_as_storage_and_are_deleted_with_the_run(run, tmp_path):
    shutil.copytree(run.folder, tmp_path / run.id)
    assert size(tmp_path / run.id) > sum(path.stat().st_size for path in snapshots(run).values())
    delete_run(run.id, tmp_path)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_other_files_are_no_snapshots(tmp_path):
    other = created(tmp_path)
    assert snapshots(other) == {}
    (other.folder / "snapshots").mkdir()
    for name in ("step-1.safetensors", "step-00000001.safetensors.tmp", "../x", "model.safetensors"):
        (other.folder / "snapshots" / name).write_bytes(b"")
    assert snapshots(other) == {}


def test_of_many_epochs_some_are_left_out():
    steps = sorted({2**n for n in range(17)} | {0} | {573 * n for n in range(1, 201)})
    kept = thinned(steps)
    assert len(kept) <= 61
    assert {0, 1, 2, 4, 65536, 573 * 200} <= set(kept)
    assert thinned([0, 1, 2, 3]) == [0, 1, 2, 3]
    assert thinned([0]) == [0]
