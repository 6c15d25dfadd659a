"""Runs of several processes: one run folder, obeyed by all, and what happens where one of them dies or differs.

They are begun without torchrun's agent, which would end the others when one dies: here they have to notice it.
"""

import json
import os
import signal
import time

import numpy as np
import pytest

from mnist_core.models.checkpoint import is_whole, read_card
from mnist_core.runs.execute import execute
from mnist_core.runs.run import Run, list_runs
from mnist_core.training.resume import can_resume
from tests.helpers import until
from tests.helpers.processes import begun, ended
from tests.helpers.runs import events, steps

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals")
TRAIN = ["train", "--dataset", "digits", "--set", "model=mlp", "--set", "schedule=constant"]
START_SECONDS = 120.0  # on a busy machine


def the_run(folder) -> Run:
    until(lambda: list_runs(folder), START_SECONDS)
    return list_runs(folder)[0]


def test_a_run_of_two_processes_is_one_run(tmp_path):
    """Paused, stepped, changed, stopped; then continued by one process, as a page does it."""
    processes = begun([*TRAIN, "--epochs", "200", "--runs-dir", str(tmp_path), "--json"], [0, 1], 2)
    run = the_run(tmp_path)
    until(lambda: len(steps(events(run))) > 5, START_SECONDS)
    run.command("pause")
    until(lambda: run.status().state == "paused")
    before = len(steps(events(run)))
    run.change(learning_rate=0.0005, dropout=0.1)
    run.step("batch")
    until(lambda: len(steps(events(run))) == before + 1)
    time.sleep(1)
    assert run.status().state == "paused"
    assert len(steps(events(run))) == before + 1
    run.command("run")
    until(lambda: len(steps(events(run))) > before + 10)
    run.command("stop")
    (status, out, said), other = ended(processes)
    assert (status, out) == (1, "")
    assert "Stopped by hand" in said
    assert other[:2] == (0, "")
    found = events(run)
    assert found[0]["processes"] == 2
    assert {event["field"]: event["to"] for event in found if event["event"] == "change"} == {
        "learning_rate": 0.0005,
        "dropout": 0.1,
    }
    taken = len(steps(found))
    assert steps(found) == [*range(1, taken + 1)]

    run.command("run")
    execute(run, on_event=lambda event: run.command("stop") if event.get("step") == taken + 3 else None)
    found = events(run)
    assert [event["processes"] for event in found if event["event"] == "start"] == [2, 1]
    assert steps(found) == [*range(1, taken + 4)]


def test_a_killed_process_ends_the_run_and_it_goes_on(tmp_path):
    arguments = [*TRAIN, "--epochs", "16", "--runs-dir", str(tmp_path), "--json"]
    processes = begun(arguments, [0, 1], 2)
    run = the_run(tmp_path)
    until(lambda: can_resume(run.folder), START_SECONDS)
    processes[1].kill()
    (status, out, said), _ = ended(processes)
    assert (status, out) == (1, "")
    assert "is crashed" in said
    assert run.status().state == "crashed"
    assert "2 processes" in run.status().reason
    reached = steps(events(run))[-1]

    found = ended(begun(["train", "--resume", run.id, "--runs-dir", str(tmp_path), "--json"], [0, 1, 2], 3), 300)
    assert [status for status, _, _ in found] == [0, 0, 0]
    assert [out for _, out, _ in found[1:]] == ["", ""]
    (line,) = found[0][1].splitlines()
    result = json.loads(line)
    assert result["run_id"] == run.id
    assert run.status().state == "completed"
    assert steps(events(run)) == [*range(1, events(run)[0]["total_steps"] + 1)]
    assert events(run)[0]["total_steps"] > reached
    assert all(is_whole(folder) for folder in run.checkpoints())
    assert result["test_accuracy"] > 0.9


def test_two_processes_resume_to_the_same_weights(tmp_path):
    """With dropout, bit for bit."""
    arguments = [*TRAIN, "--epochs", "16", "--set", "dropout=0.2", "--json"]
    whole = ended(begun([*arguments, "--runs-dir", str(tmp_path / "whole")], [0, 1], 2), 300)
    assert [status for status, _, _ in whole] == [0, 0]
    processes = begun([*arguments, "--runs-dir", str(tmp_path / "killed")], [0, 1], 2)
    run = the_run(tmp_path / "killed")
    until(lambda: can_resume(run.folder), START_SECONDS)
    processes[0].kill()
    ended(processes)
    assert run.status().state == "crashed"
    again = begun(["train", "--resume", run.id, "--runs-dir", str(tmp_path / "killed")], [0, 1], 2)
    assert [status for status, _, _ in ended(again, 300)] == [0, 0]
    ours, theirs = (read_card(found.checkpoint()) for found in (run, the_run(tmp_path / "whole")))
    assert ours.weights_sha256 == theirs.weights_sha256
    assert ours.metrics == theirs.metrics


def test_a_process_that_hangs_ends_the_run(tmp_path):
    processes = begun([*TRAIN, "--epochs", "200", "--runs-dir", str(tmp_path)], [0, 1], 2)
    run = the_run(tmp_path)
    until(lambda: can_resume(run.folder), START_SECONDS)
    try:
        processes[1].send_signal(signal.SIGSTOP)
        ((status, _, said),) = ended(processes[:1])
    finally:
        processes[1].kill()
    ended(processes[1:])
    assert status == 1
    assert "Process 1" in said
    assert run.status().state == "crashed"
    assert "does not answer" in run.status().reason


@pytest.mark.parametrize("rank", [0, 1])
def test_nobody_joins_is_a_sentence(rank, tmp_path):
    arguments = [*TRAIN, "--runs-dir", str(tmp_path)]
    ((status, out, said),) = ended(begun(arguments, [rank], 2, MNIST_LAB_JOIN_SECONDS="2"))
    assert (status, out) == (1, "")
    assert said.startswith("failed: The 2 processes of this training did not find each other at 127.0.0.1:")
    assert not list_runs(tmp_path)


def test_other_data_are_refused_before_the_first_step(tmp_path):
    """Both say what is different, and so does the run."""
    folders = [tmp_path / "first", tmp_path / "second"]
    for number, folder in enumerate(folders):
        folder.mkdir()
        draw, labels = np.random.default_rng(number), np.arange(100) % 10
        images = draw.integers(0, 255, (120, 28, 28), dtype=np.uint8)
        np.savez(folder / "own.npz", x_train=images[:100], y_train=labels, x_test=images[100:], y_test=labels[:20])
    found = ended(
        begun(["train", "--dataset", "npz:own.npz", "--runs-dir", str(tmp_path / "runs")], [0, 1], 2, folders)
    )
    for status, out, said in found:
        assert (status, out) == (1, "")
        assert "differ in their images or labels: process 0 on" in said
    (run,) = list_runs(tmp_path / "runs")
    assert run.status().state == "failed"
    assert "differ in their images or labels" in run.status().reason
    assert steps(events(run)) == []
