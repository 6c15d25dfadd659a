"""The order in which runs are taken, what is left when somebody dies, and how many train at once."""

import pytest

from mnist_core.config import TrainConfig
from mnist_core.errors import ConfigError
from mnist_core.runs.queue import Queue, Slot
from mnist_core.runs.run import WAITING, Run, create_run
from mnist_core.system.settings import parallel_runs


@pytest.fixture
def queue(tmp_path) -> Queue:
    return Queue(tmp_path)


def waiting_run(queue: Queue, **options: bool) -> Run:
    run = create_run(TrainConfig(dataset="digits"), queue.runs_dir)
    queue.add(run, **options)
    return run


def test_runs_wait_in_the_order_in_which_they_came(queue):
    runs = [waiting_run(queue) for _ in range(5)]
    assert queue.waiting() == runs
    assert queue.next_for_worker() == runs[0]
    ahead = waiting_run(queue, first=True)
    assert queue.waiting() == [ahead, *runs]
    assert [queue.before(run) for run in queue.waiting()] == [0, 1, 2, 3, 4, 5]


def test_a_queue_is_nothing_but_files_on_disk(queue):
    run = waiting_run(queue)
    assert Queue(queue.runs_dir).waiting() == [run]
    assert run in Queue(queue.runs_dir)
    assert run.status().state == "queued"


def test_a_waiting_run_is_not_crashed_however_long_it_waits(queue):
    run = waiting_run(queue)
    lost = create_run(TrainConfig(dataset="digits"), queue.runs_dir)
    for each in (run, lost):
        (each.folder / "status.json").write_text('{"state": "queued", "updated": 0}')
    assert run.status().state == "queued"
    assert lost.status().state == "crashed"


def test_a_run_is_taken_once(queue):
    run = waiting_run(queue)
    assert queue.remove(run)
    assert not queue.remove(run)
    assert queue.next_for_worker() is None
    assert run not in queue


def test_cancelling_marks_a_waiting_run_and_spares_a_begun_one(queue):
    first, second = waiting_run(queue), waiting_run(queue)
    assert queue.cancel(second)
    assert second.status().state == "stopped"
    assert "queue" in second.status().reason
    queue.remove(first)
    first.set_status("running")
    with first.lock:
        assert not queue.cancel(first)
        assert first.status().state == "running"


def test_workers_wait_for_a_living_process_ahead_of_them(queue):
    own, next_one = waiting_run(queue, own_process=True), waiting_run(queue)
    with own.lock:
        assert queue.next_for_worker() is None
        assert queue.may_begin(own)
        second = waiting_run(queue, own_process=True)
        assert not queue.may_begin(second)
        queue.remove(second)
    assert queue.next_for_worker() == next_one
    assert own not in queue


@pytest.mark.parametrize("content", ["", "[]", '{"place": "first"}', '{"place": 1}', "[" * 100_000])
def test_a_damaged_entry_waits_at_the_end(queue, content):
    damaged, run = waiting_run(queue), waiting_run(queue)
    (damaged.folder / WAITING).write_text(content)
    (queue.runs_dir / "notes").mkdir()
    (queue.runs_dir / "notes.txt").touch()
    assert queue.waiting() == [run, damaged]
    assert damaged.status().state == "queued"


@pytest.mark.parametrize("parallel", [1, 3])
def test_as_many_slots_as_asked_for_and_a_released_one_is_free(tmp_path, monkeypatch, parallel):
    monkeypatch.setenv("MNIST_LAB_PARALLEL", str(parallel))
    slots = [Slot(tmp_path) for _ in range(parallel + 1)]
    assert [slot.acquire() for slot in slots] == [True] * parallel + [False]
    slots[0].release()
    assert slots[-1].acquire()
    assert slots[-1].held
    assert not slots[0].held


@pytest.mark.parametrize("text", ["0", "-1", "two", "65", "1.5"])
def test_an_invalid_number_of_parallel_runs_is_refused(monkeypatch, text):
    monkeypatch.setenv("MNIST_LAB_PARALLEL", text)
    with pytest.raises(ConfigError, match="MNIST_LAB_PARALLEL"):
        parallel_runs()


def test_a_separate_process_does_not_wait_for_workers(queue):
    waiting_run(queue)
    own = waiting_run(queue, own_process=True)
    assert queue.may_begin(own)
