"""A process's place among several, as torchrun's variables say it, and what one process alone does."""

import pytest
import torch

from mnist_core.errors import ConfigError
from mnist_core.system import processes
from mnist_core.system.processes import Group, Place, joined, share_cores
from mnist_core.system.settings import join_seconds

NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")


def set_place(monkeypatch, *texts: str) -> None:
    for name, text in zip(NAMES, texts, strict=False):
        monkeypatch.setenv(name, text)


@pytest.fixture(autouse=True)
def without_torchrun(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def test_a_process_of_its_own_is_a_group_of_one(monkeypatch):
    with joined() as group:
        assert type(group) is Group
        assert (group.rank, group.size, group.main, group.device) == (0, 1, True, None)
        value, tensor = object(), torch.ones(2)
        group.sum(tensor)
        assert torch.equal(tensor, torch.ones(2))
        assert group.broadcast(value) is value
        assert group.gather(value) == [value]
    set_place(monkeypatch, "0", "1", "0", "1")  # torchrun --nproc-per-node 1
    assert Place.of_environment() is None


def test_the_place_is_read_from_torchruns_variables(monkeypatch):
    set_place(monkeypatch, "3", "4", "1", "2")
    assert Place.of_environment() == Place(3, 4, 1, 2)
    monkeypatch.delenv("LOCAL_RANK")
    monkeypatch.delenv("LOCAL_WORLD_SIZE")
    assert Place.of_environment() == Place(3, 4, 3, 4)  # all on this machine


@pytest.mark.parametrize(
    "texts", [("x", "2"), ("2", "2"), ("-1", "2"), ("0", "0"), ("0", "2", "2", "2"), ("0", "2", "0", "3")]
)
def test_a_place_that_makes_no_sense_is_a_sentence(monkeypatch, texts):
    set_place(monkeypatch, *texts)
    with pytest.raises(ConfigError, match="begin with torchrun"):
        Place.of_environment()


@pytest.mark.parametrize(("omp", "expected"), [(None, 2), ("1", 2), ("3", None)])
def test_processes_on_one_machine_share_its_cores(monkeypatch, omp, expected):
    """torchrun sets OMP_NUM_THREADS to 1 itself; another number is a person's."""
    told = []
    monkeypatch.setattr(torch, "set_num_threads", told.append)
    monkeypatch.setattr(processes, "cores", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if omp:
        monkeypatch.setenv("OMP_NUM_THREADS", omp)
    share_cores(Place(0, 6, 0, 4))
    assert told == ([expected] if expected else [])


@pytest.mark.parametrize(("text", "seconds"), [("", 300), ("7", 7)])
def test_the_time_to_join_is_a_setting(monkeypatch, text, seconds):
    monkeypatch.setenv("MNIST_LAB_JOIN_SECONDS", text)
    assert join_seconds() == seconds


@pytest.mark.parametrize("text", ["0", "-3", "soon", "1e9"])
def test_a_wrong_time_to_join_is_a_sentence(monkeypatch, text):
    monkeypatch.setenv("MNIST_LAB_JOIN_SECONDS", text)
    with pytest.raises(ConfigError, match="MNIST_LAB_JOIN_SECONDS should be"):
        join_seconds()
