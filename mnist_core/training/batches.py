"""Mini-batches of an epoch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def batches(indices: np.ndarray, batch_size: int, seed: int, epoch: int) -> list[Tensor]:
    """The epoch's mini-batches of `indices` (N,) int64, shuffled by (seed, epoch) alone, so that a run can resume.

    A last batch of one image joins the batch before it, as batch norm needs at least two.
    """
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    order = torch.from_numpy(indices)[torch.randperm(len(indices), generator=generator)]
    parts = list(order.split(batch_size))
    if len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts


def mixed_seed(*numbers: int) -> int:
    """A seed of 64 bits from whole numbers ≥ 0, by numpy's SeedSequence: neighbours share nothing."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])
