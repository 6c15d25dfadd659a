"""Batch norm over the images of all processes of a training."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mnist_core.system.processes import Group


class _Normalize(torch.autograd.Function):
    """(N, C, …) images of this process, normalised by mean and variance over the images of all processes.

    The formulas are those of S. Ioffe, C. Szegedy, Batch Normalization, 2015, arXiv:1502.03167. Channels' sums are
    added up in float64, as a variance is a difference of two of them.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, layer: _GroupBatchNorm) -> Tensor:
        axes = [axis for axis in range(x.dim()) if axis != 1]
        wide = x.float()
        count = x.numel() / x.shape[1]
        sums = torch.zeros(2 * len(weight) + 1, dtype=torch.float64, device=x.device)
        if count:
            variance, mean = (value.double() for value in torch.var_mean(wide, axes, correction=0))
            sums = torch.cat([count * mean, count * (variance + mean.square()), sums[-1:] + count])
        layer.group.sum(sums)
        total = float(sums[-1])
        mean, square = (sums[:-1] / total).view(2, -1)
        variance = (square - mean.square()).clamp(min=0)
        layer.track(mean, variance, total)
        mean, variance = mean.float(), variance.float()
        ctx.save_for_backward(wide, weight, mean, torch.rsqrt(variance + layer.eps))
        ctx.total, ctx.axes, ctx.group = total, axes, layer.group
        return F.batch_norm(wide, mean, variance, weight, bias, False, 0.0, layer.eps).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, scale = ctx.saved_tensors
        gradient = gradients[0].float()
        shape = [1, -1, *[1] * (x.dim() - 2)]
        normal = (x - mean.view(shape)) * scale.view(shape)
        own = torch.stack([gradient.sum(ctx.axes), (gradient * normal).sum(ctx.axes)])
        sums = own.double()
        ctx.group.sum(sums)
        first, second = (sums / ctx.total).float()
        inner = gradient - first.view(shape) - normal * second.view(shape)
        return (weight * scale).view(shape) * inner, own[1], own[0], None


class _GroupBatchNorm(_BatchNorm):
    """Batch norm over the images of all processes, where torch's SyncBatchNorm takes a GPU's tensors only and this one
    any: one path that is tested without a GPU. Mixed into torch's layers, whose weights and statistics it keeps.
    """

    group: Group

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = _Normalize.apply(x, self.weight, self.bias, self) if self.training else super().forward(x)
        return result

    def track(self, mean: Tensor, variance: Tensor, total: float) -> None:
        """Moves the running statistics towards those of a batch of `total` values a channel."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None  # nor does any layer of the lab lack one of them
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
            unbiased = variance * total / max(total - 1, 1)
            self.running_var.lerp_(unbiased.to(self.running_var.dtype), self.momentum)


class _GroupBatchNorm1d(_GroupBatchNorm, nn.BatchNorm1d):
    pass


class _GroupBatchNorm2d(_GroupBatchNorm, nn.BatchNorm2d):
    pass


_TOGETHER: dict[type[nn.Module], type[_GroupBatchNorm]] = {
    nn.BatchNorm1d: _GroupBatchNorm1d,
    nn.BatchNorm2d: _GroupBatchNorm2d,
}


def synchronize_batch_norm(model: nn.Module, group: Group) -> None:
    """Lets each batch norm of `model` see the images of all processes. Weights and their names stay."""
    for module in model.modules():
        if group.size > 1 and type(module) in _TOGETHER:
            module.__class__ = _TOGETHER[type(module)]
            vars(module)["group"] = group
