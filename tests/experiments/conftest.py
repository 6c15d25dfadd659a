"""A small MNIST: the built-in digits in MNIST's own files, for trainings that read these."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mnist_core.data.loading import load_dataset


@pytest.fixture
def small_mnist(tmp_path) -> Path:
    """A data folder, the test's own, with `digits` as MNIST."""
    digits, raw = load_dataset("digits"), tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for prefix, images, labels in (
        ("train", digits.train_images, digits.train_labels),
        ("t10k", digits.test_images, digits.test_labels),
    ):
        for name, values in ((f"{prefix}-images-idx3-ubyte", images[:, 0]), (f"{prefix}-labels-idx1-ubyte", labels)):
            array = np.asarray(values).astype(np.uint8)
            header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
            (raw / name).write_bytes(header + array.tobytes())
    return tmp_path
