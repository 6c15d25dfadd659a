import numpy as np
import pytest
import torch

from mnist_core.models.classifier import to_unit


@pytest.mark.parametrize("given", [np.asarray, torch.from_numpy])
def test_to_unit_is_every_level_over_255_in_channels_last(given):
    images = np.arange(256, dtype=np.uint8).reshape(2, 2, 8, 8)
    unit = to_unit(given(images))
    np.testing.assert_array_equal(unit, np.arange(256, dtype=np.float32).reshape(2, 2, 8, 8) / np.float32(255))
    assert unit.is_contiguous(memory_format=torch.channels_last)
    assert images.ravel().tolist() == list(range(256))
