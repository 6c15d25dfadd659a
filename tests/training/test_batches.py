import numpy as np
import pytest
import torch

from mnist_core.training.batches import batches


@pytest.mark.parametrize(
    ("count", "sizes"),
    [(7, [7]), (8, [8]), (9, [9]), (16, [8, 8]), (17, [8, 9]), (18, [8, 8, 2]), (1, [1])],
)
def test_batches_hold_every_index_once_and_never_one_alone(count, sizes):
    indices = np.arange(100, 100 + count)
    parts = batches(indices, 8, seed=0, epoch=0)
    assert [len(part) for part in parts] == sizes
    assert sorted(torch.cat(parts).tolist()) == indices.tolist()


def test_batches_are_a_function_of_seed_and_epoch():
    indices = np.arange(500)

    def order(seed: int, epoch: int) -> list[int]:
        return torch.cat(batches(indices, 64, seed, epoch)).tolist()

    torch.manual_seed(1)
    first = order(5, 2)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    assert order(5, 2) == first
    assert torch.equal(torch.get_rng_state(), before)
    others = [order(5, 3), order(6, 2), order(6, 3), sorted(first)]
    assert all(other != first for other in others)
