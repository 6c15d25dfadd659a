"""Each limit refuses what is over it with a sentence, and nothing else."""

import pytest

from mnist_core.config import TrainConfig
from mnist_core.errors import RunError
from mnist_core.experiments.ablation import Factor, create_study
from mnist_core.runs.limits import check_limits
from mnist_core.runs.queue import Queue
from mnist_core.runs.run import create_run, list_runs
from mnist_core.system.settings import runs_folder

CONFIG = TrainConfig(recipe="quick", dataset="digits", epochs=10)


def test_without_limits_nothing_is_refused():
    check_limits([CONFIG] * 100)


def test_too_many_epochs_are_refused(monkeypatch, refused):
    monkeypatch.setenv("MNIST_LAB_MAX_EPOCHS", "9")
    check_limits([CONFIG.replace(epochs=9)])
    with pytest.raises(RunError, match=r"at most 9 epochs \(MNIST_LAB_MAX_EPOCHS\), not 10"):
        check_limits([CONFIG.replace(epochs=1), CONFIG])
    assert "at most 9 epochs" in refused("train", "--dataset", "digits", "--epochs", "10")
    assert list_runs() == []


def test_waiting_runs_count_apart_from_training_ones(monkeypatch):
    monkeypatch.setenv("MNIST_LAB_MAX_QUEUE", "1")
    check_limits([CONFIG, CONFIG])  # one trains, one waits
    with pytest.raises(RunError, match=r"has no room for 3 runs \(MNIST_LAB_MAX_QUEUE=1\): 0 runs wait already"):
        check_limits([CONFIG, CONFIG, CONFIG])
    for _ in range(2):
        Queue(runs_folder()).add(create_run(CONFIG))
    with pytest.raises(RunError, match=r"The queue is full \(MNIST_LAB_MAX_QUEUE=1\): 1 run waits already"):
        check_limits([CONFIG])
    monkeypatch.setenv("MNIST_LAB_PARALLEL", "2")
    check_limits([CONFIG])
    for run in list_runs():
        Queue(runs_folder()).cancel(run)
    check_limits([CONFIG, CONFIG, CONFIG])


def test_storage_refuses_only_when_it_is_exceeded(monkeypatch):
    monkeypatch.setenv("MNIST_LAB_MAX_STORAGE", "2")
    run = create_run(CONFIG)
    (run.folder / "weights").write_bytes(bytes(1_900_000))
    check_limits([CONFIG])
    (run.folder / "more").write_bytes(bytes(200_000))
    with pytest.raises(RunError, match=r"2 MB, over the limit of 2 MB \(MNIST_LAB_MAX_STORAGE\)"):
        check_limits([CONFIG])


def test_a_study_over_a_limit_leaves_no_run_behind(monkeypatch):
    monkeypatch.setenv("MNIST_LAB_MAX_QUEUE", "2")
    with pytest.raises(RunError, match=r"no room for 4 runs \(MNIST_LAB_MAX_QUEUE=2\): 0 runs wait"):
        create_study(CONFIG, [Factor("dropout", [0.0, 0.5])], [0, 1])
    assert list_runs() == []
    study = create_study(CONFIG, [Factor("dropout", [0.0, 0.5])], [0], owner="Ann")
    assert {run.owner for run in study.all_runs()} == {"Ann"}
