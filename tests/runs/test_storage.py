"""What runs take, which are offered for deletion, and that only an ended, unpinned run of the folder can go."""

from __future__ import annotations

import os

import pytest

from mnist_core.config import TrainConfig
from mnist_core.errors import RunError
from mnist_core.runs.limits import runs_to_delete
from mnist_core.runs.queue import Queue
from mnist_core.runs.run import Run, create_run, list_runs
from mnist_core.runs.storage import TRASH, delete_run, size
from mnist_core.system.settings import Limits, runs_folder


def ended(state: str = "completed") -> Run:
    run = create_run(TrainConfig(recipe="quick", dataset="digits"))
    run.finish(state)
    return run


def test_size_adds_all_files_and_follows_no_link(tmp_path):
    (tmp_path / "run" / "deep").mkdir(parents=True)
    (tmp_path / "run" / "a").write_bytes(b"x" * 1000)
    (tmp_path / "run" / "deep" / "b").write_bytes(b"x" * 234)
    (tmp_path / "large").write_bytes(b"x" * 10**6)
    (tmp_path / "run" / "link").symlink_to(tmp_path / "large")
    assert 1234 <= size(tmp_path / "run") < 2234
    assert size(tmp_path / "nothing") == 0


def test_the_oldest_unpinned_runs_are_offered_for_deletion(tmp_path):
    runs = []
    for day, state in enumerate(("completed", "completed", "queued", "crashed", "stopped"), start=1):
        run = Run(tmp_path / f"2026010{day}-120000-quick-abcd")
        run.folder.mkdir()
        run.set_status(state)
        runs.append(run)
    Queue(tmp_path).add(runs[2])
    runs[1].pin()
    sizes = [(run, 3_000_000) for run in reversed(runs)]
    assert runs_to_delete(sizes, Limits()) == []
    assert runs_to_delete(sizes, Limits(max_storage=15)) == []
    assert [run for run, _ in runs_to_delete(sizes, Limits(max_storage=14))] == [runs[0]]
    assert [run for run, _ in runs_to_delete(sizes, Limits(max_storage=11))] == [runs[0], runs[3]]
    assert [run for run, _ in runs_to_delete(sizes, Limits(max_storage=1))] == [runs[0], runs[3], runs[4]]


def test_a_deleted_run_is_gone_and_the_others_stay():
    first, second = ended(), ended("crashed")
    delete_run(first.id)
    assert list_runs() == [second]
    assert not first.folder.exists()
    assert list((runs_folder() / TRASH).iterdir()) == []


def test_an_interrupted_deletion_is_completed_by_the_next():
    run = ended()
    left = runs_folder() / TRASH / "20260101-120000-quick-abcd-12345678"
    left.mkdir(parents=True)
    (left / "file").write_text("x")
    delete_run(run.id)
    assert not left.exists()


def test_a_pinned_run_cannot_be_deleted_until_it_is_unpinned():
    run = ended()
    run.pin()
    assert run.pinned
    with pytest.raises(RunError, match="pinned"):
        delete_run(run.id)
    assert run.folder.exists()
    run.pin(False)
    delete_run(run.id)
    assert list_runs() == []


@pytest.mark.parametrize("state", ["running", "paused"])
def test_an_active_run_cannot_be_deleted(state):
    run = ended()
    run.set_status(state)
    with run.lock, pytest.raises(RunError, match="stop it first"):
        delete_run(run.id)
    assert run.folder.exists()


def test_waiting_and_active_runs_cannot_be_deleted():
    waiting, held = create_run(TrainConfig(recipe="quick", dataset="digits")), ended()
    Queue(runs_folder()).add(waiting)
    with pytest.raises(RunError, match="stop it first"):
        delete_run(waiting.id)
    with held.lock, pytest.raises(RunError, match="being executed"):
        delete_run(held.id)
    assert len(list_runs()) == 2


@pytest.mark.parametrize("name", ["..", ".", "../secret", "no-such-run", "a/b", "", ".trash"])
def test_nothing_outside_the_runs_folder_is_touched(name):
    run = ended()
    secret = runs_folder().parent / "secret"
    secret.mkdir()
    (secret / "config.json").write_text("{}")
    with pytest.raises(RunError):
        delete_run(name)
    assert (secret / "config.json").exists()
    assert run.folder.exists()


def test_a_link_among_the_runs_is_left_alone(tmp_path):
    run = ended()
    elsewhere = tmp_path / "elsewhere"
    os.replace(run.folder, elsewhere)
    run.folder.symlink_to(elsewhere)
    with pytest.raises(RunError, match="link"):
        delete_run(run.id)
    assert (elsewhere / "config.json").exists()
