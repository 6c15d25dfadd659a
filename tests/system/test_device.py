"""How many CPU threads a training computes with: as its settings say, from one batch to the next, resumed too."""

import copy
from collections.abc import Iterator

import pytest
import torch

from mnist_core.config import TrainConfig
from mnist_core.data.loading import load_dataset
from mnist_core.data.splits import arrange
from mnist_core.system.device import all_threads, divide_cores, threads, use_threads
from mnist_core.training.loop import train
from mnist_core.training.state import TrainState

CONFIG = TrainConfig(model="small-cnn", dataset="digits", epochs=2, batch_size=64, validation_fraction=0.2, seed=3)


@pytest.fixture
def total() -> Iterator[int]:
    """How many threads this process has, two or more."""
    if all_threads() < 2:
        pytest.skip("Needs two threads")
    yield all_threads()
    use_threads(0)


@pytest.fixture(scope="module")
def digits():
    return arrange(load_dataset("digits"), CONFIG)


@pytest.mark.parametrize(("asked", "used"), [(1, 1), (2, 2), (0, None), (4096, None)])
def test_as_many_threads_as_requested_and_available(total, asked, used):
    use_threads(1)
    use_threads(asked)
    assert torch.get_num_threads() == (used or total)


def test_threads_are_restored_afterwards(total):
    use_threads(1)
    with threads():
        assert torch.get_num_threads() == total
    assert torch.get_num_threads() == 1


def test_nested_uses_keep_all_threads_until_the_last_ends(total):
    use_threads(1)
    first, second = threads(), threads()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert torch.get_num_threads() == total
    second.__exit__(None, None, None)
    assert torch.get_num_threads() == 1


def test_the_next_training_has_all_threads_again(total, digits):
    TrainState(CONFIG.replace(threads=1), digits)
    assert torch.get_num_threads() == 1
    TrainState(CONFIG, digits)
    assert torch.get_num_threads() == total


def weights_after(state: TrainState, digits, steps: int) -> dict[str, torch.Tensor]:
    events = train(state, digits)
    while state.step < steps:
        next(events)
    return state.model.state_dict()


def test_a_change_of_threads_is_repeated_after_a_resume(total, digits):
    whole = TrainState(CONFIG, digits)
    weights_after(whole, digits, 5)
    change = whole.change("threads", 1)
    assert (change["from"], change["to"], torch.get_num_threads()) == (0, 1, 1)
    kept = copy.deepcopy(whole.state_dict())
    expected = {name: tensor.clone() for name, tensor in weights_after(whole, digits, 12).items()}
    use_threads(0)
    resumed = TrainState(CONFIG, digits)
    resumed.load_state_dict(kept)
    assert torch.get_num_threads() == 1
    found = weights_after(resumed, digits, 12)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize(
    ("parallel", "own", "expected"), [("1", None, []), ("2", None, [4]), ("16", None, [1]), ("2", "3", [])]
)
def test_trainings_at_once_divide_the_cores(monkeypatch, parallel, own, expected):
    monkeypatch.setenv("MNIST_LAB_PARALLEL", parallel)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if own:
        monkeypatch.setenv("OMP_NUM_THREADS", own)
    given = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(torch, "set_num_threads", given.append)
    divide_cores()
    assert given == expected
