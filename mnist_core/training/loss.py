"""The loss that a training minimises, and the precision of the forward pass."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mnist_core.config import TrainConfig
from mnist_core.data.dataset import NO_CLASS
from mnist_core.models.classifier import Classifier


def reduced_precision(config: TrainConfig, device: torch.device) -> torch.autocast:
    """The context in which the forward pass runs; weights, optimizer and loss stay float32."""
    reduced = config.precision == "bfloat16" or (config.precision == "auto" and has_bfloat16(device))
    return torch.autocast(device.type, torch.bfloat16, enabled=reduced)


def has_bfloat16(device: torch.device) -> bool:
    """Whether the processor multiplies bfloat16 itself; where it does not, emulation is slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


@torch.no_grad()
def teacher_probabilities(teachers: list[Classifier], x: Tensor) -> Tensor | None:
    """(N, C, H, W) float32 in [0, 1] → (N, K) float32 probabilities, the mean over `teachers`; None without any."""
    if not teachers:
        return None
    return torch.stack([teacher(x).float().softmax(dim=1) for teacher in teachers]).mean(dim=0)


def training_loss(
    config: TrainConfig,
    model: Classifier,
    logits: Tensor,
    labels: Tensor,
    soft_targets: Tensor | None = None,
    taught: Tensor | None = None,
    batch: int | None = None,
) -> Tensor:
    """Mean cross-entropy in nats of (N, K) `logits` against (N,) int64 `labels`, with the penalties of `config`.

    Where these are a part of a `batch` of so many images, it is what the part adds to the loss of the batch: the sum
    over its images divided by `batch`, and as large a share of the penalties.

    `soft_targets`, (N, K) probabilities, is mixed into the target (distillation, arXiv:1503.02531, at temperature 1),
    but not where `taught`, (N,) bool: there the label is to correct the teacher, who is the model itself before it was
    taught (Z. Li, D. Hoiem, Learning without Forgetting, 2016, arXiv:1606.09282).
    Where the label is NO_CLASS every class should be as likely (outlier exposure, arXiv:1812.04606).
    Of a log-softmax head this is the negative log-likelihood: log-probabilities are their own log-softmax.
    """
    classes = logits.shape[1]
    target = labels
    if config.labels == "one-hot" or config.non_digits or soft_targets is not None:
        target = F.one_hot(labels.clamp(min=0), classes).to(logits.dtype)
    if soft_targets is not None:
        mixed = target.lerp(soft_targets, config.distillation)
        target = mixed if taught is None else torch.where(taught[:, None], target, mixed)
    if config.non_digits:
        target[labels == NO_CLASS] = 1 / classes
    batch = batch or len(labels)
    loss = F.cross_entropy(logits, target, label_smoothing=config.label_smoothing, reduction="sum") / batch
    if config.l2_first:
        loss = loss + len(labels) / batch * config.l2_first * model.first_dense.weight.square().sum()
    return loss


def right_and_counted(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """(N, K) logits, (N,) labels → how many are right, and how many have a class at all."""
    return (logits.argmax(dim=1) == labels).sum(), (labels != NO_CLASS).sum()
