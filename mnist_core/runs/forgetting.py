"""What a teaching has changed: a model before and after it, on what was taught and on what it knew already."""

from __future__ import annotations

from torch import Tensor

from mnist_core.data.dataset import Dataset
from mnist_core.inference.metrics import infer
from mnist_core.models.checkpoint import Checkpoint
from mnist_core.training.state import load_pretrained


def before_and_after(after: Checkpoint, taught: Dataset, earlier: Dataset) -> dict[str, float]:
    """Shares in [0, 1] and counts for the card of `after`, a model that was taught `taught` and rehearsed `earlier`.

    `before_accuracy` is that of the model it began with on the test images of `taught`; `earlier_accuracy` and
    `earlier_before` are those of the two on the `earlier_images` test images of `earlier`. Of these `forgotten` were
    read right before and are not now, and `gained` the other way round. Raises what `load_pretrained` raises.
    """
    before = load_pretrained(after.card.config, taught.shape, taught.classes)
    old, new = (_right(each, earlier.test_images, earlier.test_labels) for each in (before, after))
    return {
        "before_accuracy": _right(before, taught.test_images, taught.test_labels).float().mean().item(),
        "earlier_accuracy": new.float().mean().item(),
        "earlier_before": old.float().mean().item(),
        "earlier_images": len(new),
        "forgotten": int((old & ~new).sum()),
        "gained": int((new & ~old).sum()),
    }


def _right(checkpoint: Checkpoint, images: Tensor, labels: Tensor) -> Tensor:
    """(N,) bool: which of (N, C, H, W) uint8 images are read right."""
    return infer(checkpoint.model, images).argmax(dim=1) == labels
