"""Real worker processes on tiny trainings: the order, a paused run, a killed worker, a server that comes back."""

import os
import signal
import time
from pathlib import Path

import pytest
from PIL import Image

from mnist_core.config import TrainConfig
from mnist_core.errors import RunError
from mnist_core.runs import pool as pool_module
from mnist_core.runs.pool import WorkerPool
from mnist_core.runs.queue import Queue
from mnist_core.runs.run import Run, create_run
from tests.helpers import until


@pytest.fixture
def pool(tmp_path):
    pool = WorkerPool(tmp_path / "runs", tmp_path / "no-data")
    yield pool
    processes = pool.processes
    pool.close()
    for process in processes:
        process.wait(timeout=60)
        assert process.returncode in (0, -signal.SIGKILL)


def created(pool: WorkerPool, epochs: int = 1) -> Run:
    config = TrainConfig(dataset="digits", model="mlp", epochs=epochs, batch_size=128, validation_fraction=0.2)
    return create_run(config, pool.runs_dir)


@pytest.mark.skipif(os.name == "nt", reason="kills by signal")
def test_a_pool_has_settled_once_its_worker_is_warm(pool):
    assert not pool.settled()  # nobody has asked for a worker
    pool.warm()
    assert not pool.settled()
    until(pool.settled, 60)
    (worker,) = pool.processes
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    until(lambda: pool.processes != (worker,))  # its successor warms up again
    assert not pool.settled()
    until(pool.settled, 60)


def completed(*runs: Run):
    return lambda: all(run.status().state == "completed" for run in runs)


def test_one_worker_trains_one_run_after_another(pool):
    runs = [created(pool, epochs=5), created(pool), created(pool)]
    for run in runs:
        pool.start(run)  # returns at once
    assert not any(run.status().state == "completed" for run in runs)

    def one_at_most() -> bool:
        assert [run.status().state for run in runs].count("running") <= 1
        return completed(*runs)()

    until(one_at_most, 120)
    assert len(pool.processes) == 1
    ended = [run.status().updated for run in runs]
    assert ended == sorted(ended)


def test_a_second_worker_runs_while_the_first_run_is_paused(pool):
    first, second = created(pool, epochs=200), created(pool)
    pool.start(first)
    until(lambda: first.status().state == "running", 60)
    pool.start(second)
    first.command("pause")
    until(completed(second), 120)
    assert first.status().state == "paused"
    assert len(pool.processes) == 2
    first.command("stop")
    until(lambda: first.status().state == "stopped")


@pytest.mark.skipif(os.name == "nt", reason="kills by signal")
def test_a_killed_worker_is_replaced_and_the_queue_goes_on(pool):
    first, second = created(pool, epochs=200), created(pool)
    pool.start(first)
    pool.start(second)
    until(lambda: first.status().state == "running", 60)
    os.kill(pool.processes[0].pid, signal.SIGKILL)
    until(completed(second), 120)
    assert first.status().state == "crashed"


def test_a_new_pool_executes_what_an_earlier_one_left_waiting(pool):
    run = created(pool)
    Queue(pool.runs_dir).add(run)  # as a server that went down before it had a worker
    pool.warm()
    until(completed(run), 120)


def test_without_its_server_a_worker_finishes_the_queue_and_ends(tmp_path):
    pool = WorkerPool(tmp_path / "runs", tmp_path / "no-data")
    runs = [created(pool), created(pool)]
    for run in runs:
        pool.start(run)
    (process,) = pool.processes
    pool.close()
    assert process.wait(timeout=120) == 0
    assert completed(*runs)()
    assert not list((pool.runs_dir / ".workers").iterdir())


def test_an_idle_worker_goes_and_comes_back_when_it_is_wanted(pool, monkeypatch):
    monkeypatch.setattr(pool_module, "IDLE_SECONDS", 3.0)
    run = created(pool)
    pool.start(run)
    (worker,) = pool.processes
    until(completed(run), 120)
    assert worker.wait(timeout=60) == 0  # three seconds after the end of its work
    until(lambda: pool.processes == ())
    second = created(pool)
    pool.start(second)
    assert pool.processes != ()
    until(completed(second), 120)


def test_work_keeps_a_worker_however_long_it_takes(pool, monkeypatch):
    monkeypatch.setattr(pool_module, "IDLE_SECONDS", 0.5)
    run = created(pool, epochs=200)
    pool.start(run)
    until(lambda: run.status().state == "running", 60)
    run.command("pause")
    until(lambda: run.status().state == "paused", 120)
    (worker,) = pool.processes
    time.sleep(2.0)
    assert pool.processes == (worker,)
    assert worker.poll() is None
    run.command("stop")
    until(lambda: run.status().state == "stopped", 120)


def test_a_pool_that_cannot_write_says_so(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match="file"):
        WorkerPool(tmp_path / "file", tmp_path).warm()


def test_a_worker_shares_the_folder_but_not_its_modules(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "random.py").write_text("raise RuntimeError('a file of the person who trains')")
    for name in ("a", "b"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for number in range(10):
            Image.new("L", (8, 8), 25 * number).save(tmp_path / "pictures" / name / f"{number}.png")
    pool = WorkerPool(Path("runs"), Path("data"))
    config = TrainConfig(dataset="folder:pictures", model="mlp", epochs=1, validation_fraction=0.2)
    run = create_run(config, pool.runs_dir)
    try:
        pool.start(run)
        until(lambda: not run.status().active, 90)
        assert run.status().state == "completed", run.status().reason
    finally:
        pool.close()
