import hashlib
import struct

import numpy as np
import pytest
import torch

from mnist_core.data.dataset import Dataset, batches, to_unit


def test_a_fingerprint_is_of_test_images_and_labels(tiny_data):
    expected = hashlib.sha256(bytes(tiny_data.test_images.flatten().tolist()))
    expected.update(struct.pack(f"<{len(tiny_data.test_labels)}q", *tiny_data.test_labels.tolist()))
    assert tiny_data.fingerprint == expected.hexdigest()
    images = tiny_data.test_images.clone()
    images[0, 0, 0, 0] += 1
    other = Dataset("x", tiny_data.classes, images, tiny_data.train_labels, images, tiny_data.test_labels)
    assert other.fingerprint != tiny_data.fingerprint


def test_the_training_part_has_a_fingerprint_of_its_own(tiny_data):
    expected = hashlib.sha256(bytes(tiny_data.train_images.flatten().tolist()))
    expected.update(struct.pack(f"<{len(tiny_data.train_labels)}q", *tiny_data.train_labels.tolist()))
    assert tiny_data.train_fingerprint == expected.hexdigest() != tiny_data.fingerprint


@pytest.mark.parametrize(
    ("count", "sizes"),
    [(7, [7]), (8, [8]), (9, [9]), (16, [8, 8]), (17, [8, 9]), (18, [8, 8, 2]), (1, [1])],
)
def test_batches_hold_every_index_once_and_never_one_alone(count, sizes):
    indices = torch.arange(100, 100 + count)
    parts = batches(indices, 8, seed=0, epoch=0)
    assert [len(part) for part in parts] == sizes
    assert sorted(torch.cat(parts).tolist()) == indices.tolist()


def test_batches_are_a_function_of_seed_and_epoch():
    indices = torch.arange(500)

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


def test_to_unit_is_every_level_over_255_in_channels_last():
    images = torch.arange(256, dtype=torch.uint8).view(2, 2, 8, 8)
    unit = to_unit(images)
    np.testing.assert_array_equal(unit.numpy(), np.arange(256, dtype=np.float32).reshape(2, 2, 8, 8) / np.float32(255))
    assert unit.is_contiguous(memory_format=torch.channels_last)
    assert images.dtype == torch.uint8
