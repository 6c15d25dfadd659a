"""What a loaded checkpoint says of a dataset's test images."""

from __future__ import annotations

from mnist_core.data.dataset import Dataset
from mnist_core.inference.metrics import Evaluation, evaluate
from mnist_core.inference.network import Network
from mnist_core.models.checkpoint import Checkpoint


def evaluated(checkpoint: Checkpoint, data: Dataset) -> Evaluation:
    return evaluate(Network(checkpoint), data.test_images, data.test_labels)
