"""The checkpoints that ship with the lab."""

import numpy as np
import pytest
import torch

from mnist_core.data.loading import load_dataset
from mnist_core.models.checkpoint import find_checkpoint, load_checkpoint, shipped_names

every_shipped = pytest.mark.parametrize(
    "name", shipped_names() or [pytest.param("", marks=pytest.mark.skip(reason="no checkpoint ships yet"))]
)


@every_shipped
def test_a_shipped_checkpoint_loads_is_small_and_good(name):
    checkpoint = load_checkpoint(find_checkpoint(name))
    allowed = 6_000_000 if name == "best" else 1_000_000
    assert sum(path.stat().st_size for path in checkpoint.folder.iterdir()) < allowed
    assert checkpoint.card.dataset == "mnist"
    assert checkpoint.card.metrics.get("test_accuracy", 0) >= 0.995


@pytest.mark.slow
@pytest.mark.mnist
@every_shipped
def test_a_shipped_checkpoint_is_as_good_as_its_card_says(name, mnist_dir):
    checkpoint = load_checkpoint(find_checkpoint(name))
    mnist = load_dataset("mnist", mnist_dir)
    right = 0
    with torch.inference_mode():
        for images, labels in zip(np.split(mnist.test_images, 10), np.split(mnist.test_labels, 10), strict=True):
            right += int((checkpoint.model(torch.from_numpy(images) / 255).argmax(dim=1).numpy() == labels).sum())
    assert right / 10_000 == pytest.approx(checkpoint.card.metrics.get("test_accuracy", 0), abs=1e-4)
