"""Loss and accuracy of a network under training, on images that it does not learn from."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def loss_and_accuracy(logits: Tensor, labels: np.ndarray | Tensor) -> tuple[float, float]:
    """(N, K) logits and (N,) labels → mean cross-entropy in nats, and accuracy in [0, 1]."""
    targets = torch.as_tensor(labels).cpu()
    return F.cross_entropy(logits, targets).item(), (logits.argmax(dim=1) == targets).sum().item() / len(targets)
