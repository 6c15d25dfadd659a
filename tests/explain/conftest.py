"""Networks of every architecture with settled batch norm, and images for them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mnist_core.config import Shape, TrainConfig
from mnist_core.models.classifier import Classifier, build_model


@pytest.fixture(scope="session")
def network():
    """`network(name, …)` → a network of random weights, whose batch norm has seen some images."""

    def make(name: str, shape: Shape | None = None, **settings: object) -> Classifier:
        shape = shape or Shape()
        torch.manual_seed(0)
        config = TrainConfig(model=name, **settings)
        model = build_model(config, shape, [0.3] * shape.channels, [0.4] * shape.channels)
        model.train()
        with torch.no_grad():
            for _ in range(3):
                model(torch.rand(16, shape.channels, shape.height, shape.width))
        return model.eval()

    return make


@pytest.fixture(scope="session")
def stroke() -> np.ndarray:
    """(28, 28) uint8: a bar and a slanted line."""
    image = np.zeros((28, 28), np.uint8)
    image[6:9, 6:22] = 255
    for step in range(15):
        image[8 + step, 18 - step // 2 : 21 - step // 2] = 200
    return image
