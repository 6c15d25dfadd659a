"""Calls in a worker: through pipes in this process, and in a real worker by the pool."""

import io
import os
import threading

import numpy as np
import pytest

from mnist_core.config import Shape, TrainConfig
from mnist_core.data.geometry import enlarged
from mnist_core.runs import calls
from mnist_core.runs.calls import NoAnswerError, answer_calls, ask, compute
from mnist_core.runs.pool import WorkerPool
from tests.helpers import until

SUM = "inference.interval:wilson_interval"


class Pipes:
    """Both ends of a worker's pipes, and a thread that answers at the other end."""

    def __init__(self) -> None:
        (theirs, mine), (answered, answering) = os.pipe(), os.pipe()
        self.requests, self.answers = os.fdopen(mine, "wb"), os.fdopen(answered, "rb")
        self.idle = threading.Lock()
        ends = os.fdopen(theirs, "rb"), os.fdopen(answering, "wb")
        self.thread = threading.Thread(target=answer_calls, args=(*ends, self.idle), daemon=True)
        self.thread.start()

    def ask(self, name: str, *arguments: object) -> object:
        return ask(self.requests, self.answers, name, arguments)


@pytest.fixture
def pipes():
    made = Pipes()
    yield made
    made.requests.close()
    made.thread.join(5)
    assert not made.thread.is_alive()


def test_a_function_is_computed_at_the_other_end(pipes):
    assert pipes.ask(SUM, 9, 10) == compute(SUM, (9, 10))
    image = np.arange(64, dtype=np.uint8).reshape(1, 1, 8, 8)
    np.testing.assert_array_equal(pipes.ask("data.geometry:enlarged", image), enlarged(image))


def test_a_worker_at_work_gives_no_answer(pipes):
    with pipes.idle, pytest.raises(NoAnswerError):
        pipes.ask(SUM, 9, 10)
    assert pipes.ask(SUM, 1, 2) == compute(SUM, (1, 2))


def test_an_error_is_no_answer_and_the_next_call_has_one(pipes, capsys):
    with pytest.raises(NoAnswerError):
        pipes.ask(SUM, "nine")
    assert "TypeError" in capsys.readouterr().err
    assert pipes.ask(SUM, 1, 2) == compute(SUM, (1, 2))


def test_a_worker_that_has_gone_gives_no_answer():
    with pytest.raises(NoAnswerError):
        ask(io.BytesIO(), io.BytesIO(b"cut"), SUM, (1, 2))


def test_a_worker_that_hangs_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(calls, "PATIENCE_SECONDS", 0.2)
    silent, end = os.pipe()
    with os.fdopen(silent, "rb") as answers, os.fdopen(end, "wb"), pytest.raises(NoAnswerError) as raised:
        ask(io.BytesIO(), answers, SUM, (1, 2))
    assert isinstance(raised.value.__cause__, TimeoutError)


def test_without_a_worker_the_pool_computes_it_itself(tmp_path):
    pool = WorkerPool(tmp_path / "runs", tmp_path / "data")
    assert pool.call(SUM, 9, 10) == compute(SUM, (9, 10))
    assert not pool.settled()


def test_an_idle_worker_computes_what_a_page_asks_for(tmp_path):
    pool = WorkerPool(tmp_path / "runs", tmp_path / "data")
    pool.warm()
    try:
        until(pool.settled, 240)
        seconds = pool.call("training.profile:seconds_per_image", TrainConfig(dataset="digits"), Shape())
        assert 0 < seconds < 1
        image = np.zeros((1, 28, 28), np.uint8)
        moved = pool.call("data.augment:variants", image, TrainConfig(rotation=20), 3, 0)
        assert (moved.shape, moved.dtype) == ((3, 1, 28, 28), np.uint8)
    finally:
        pool.close()
