"""What a teaching has changed: a model before and after it, on what was taught and on what it knew already."""

from __future__ import annotations

import numpy as np

from mnist_core.data.dataset import Dataset
from mnist_core.inference.metrics import Infers
from mnist_core.inference.network import Network
from mnist_core.models.checkpoint import Checkpoint


def before_and_after(after: Checkpoint, taught: Dataset, earlier: Dataset) -> dict[str, float]:
    """Shares in [0, 1] and counts for the card of `after`, a model that was taught `taught` and rehearsed `earlier`.

    `before_accuracy` is that of the model it began with on the test images of `taught`; `earlier_accuracy` and
    `earlier_before` are those of the two on the `earlier_images` test images of `earlier`. Of these `forgotten` were
    read right before and are not now, and `gained` the other way round. Raises what `load_pretrained` raises.
    """
    from mnist_core.training.state import load_pretrained

    before = load_pretrained(after.card.config, taught.shape, taught.classes)
    old, new = (_right(each, earlier.test_images, earlier.test_labels) for each in (before.model, Network(after)))
    return {
        "before_accuracy": float(_right(before.model, taught.test_images, taught.test_labels).mean()),
        "earlier_accuracy": float(new.mean()),
        "earlier_before": float(old.mean()),
        "earlier_images": len(new),
        "forgotten": int((old & ~new).sum()),
        "gained": int((new & ~old).sum()),
    }


def _right(model: Infers, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(N,) bool: which of (N, C, H, W) uint8 images are read right."""
    right: np.ndarray = model.infer(images).argmax(axis=1) == labels
    return right
