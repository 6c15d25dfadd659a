"""Classifier: a registered network with its normalisation, as a module of torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from mnist_core.config import Shape, TrainConfig
from mnist_core.models.architectures import describe
from mnist_core.models.layer_table import LayerRow, layer_table
from mnist_core.models.modules import build
from mnist_core.system.progress import Progress

CHUNK = 500  # images at once


class Classifier(nn.Module):
    """(N, C, H, W) float32 in [0, 1] → (N, classes) logits. The model normalises its input itself.

    `mean` and `std` hold one number per channel, for pixels in [0, 1]. `temperature` divides the logits: 1 in
    training, fitted on validation images (inference/calibration.py) in a loaded checkpoint, so that all callers get
    the same probabilities. A checkpoint keeps all three in its card, not among the weights.
    """

    temperature: float = 1.0
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        net: nn.Module,
        mean: Sequence[float],
        std: Sequence[float],
        head: nn.Module | None = None,
        table: Sequence[LayerRow] = (),
    ) -> None:
        super().__init__()
        self.table = table  # of a registered network
        self.net = net
        self.head = head  # has no weights
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)

    @property
    def first_dense(self) -> nn.Linear:
        """The first dense layer, which `l2_first` penalises. Raises StopIteration where there is none."""
        return next(module for module in self.net.modules() if isinstance(module, nn.Linear))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.net((images - self.mean) / self.std)
        if self.head is not None:
            logits = self.head(logits)
        return logits / self.temperature if self.temperature != 1 else logits

    def infer(self, images: np.ndarray, progress: Progress | None = None) -> np.ndarray:
        """(N, C, H, W) uint8 → (N, K) float32 logits, computed in evaluation mode."""
        return infer(self, images, progress).numpy()


def build_model(
    config: TrainConfig, shape: Shape, mean: Sequence[float] = (0.0,), std: Sequence[float] = (1.0,)
) -> Classifier:
    """The network of `config`, with fresh weights from torch's global random state. Raises ConfigError."""
    # the CPU's convolution kernels are fastest in channels_last
    net = build(describe(config, shape)).to(memory_format=torch.channels_last)
    head = nn.LogSoftmax(dim=1) if config.head == "log-softmax" else None
    return Classifier(net, mean, std, head, layer_table(config, shape))


def to_unit(images: np.ndarray | Tensor) -> Tensor:
    """(N, C, H, W) uint8 → float32 in [0, 1], channels last in memory, the fastest layout for CPU convolutions."""
    return torch.as_tensor(images).to(torch.float32, memory_format=torch.channels_last).div_(255)


def infer(model: nn.Module, images: np.ndarray | Tensor, progress: Progress | None = None) -> Tensor:
    """(N, C, H, W) uint8 → (N, K) float32 logits on the CPU, computed in evaluation mode on the model's device."""
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    logits, done = [], 0
    try:
        with torch.inference_mode():
            for chunk in torch.as_tensor(images).split(CHUNK):
                logits.append(model(to_unit(chunk.to(device))).float().cpu())
                done += len(chunk)
                if progress:
                    progress(done / len(images))
    finally:
        model.train(was_training)
    return torch.cat(logits)


def permute_outputs(model: Classifier, order: Sequence[int]) -> None:
    """Reorders the classes of `model` in place: output k becomes what output `order`[k] was.

    The last layer with weights, and what follows it, have a row for each class.
    """
    modules = list(model.net.modules())
    last = max(n for n, module in enumerate(modules) if isinstance(module, nn.Linear | nn.Conv2d))
    rows = torch.tensor(list(order))
    with torch.no_grad():
        for module in modules[last:]:
            for tensor in [*module.parameters(recurse=False), *module.buffers(recurse=False)]:
                if tensor.dim() and len(tensor) == len(rows):
                    tensor.copy_(tensor[rows].clone())


def set_dropout(model: nn.Module, share: float) -> int:
    """Sets the probability `share` of every dropout layer; returns the number of such layers."""
    layers = [module for module in model.modules() if isinstance(module, nn.Dropout)]
    for layer in layers:
        layer.p = share
    return len(layers)


def count_parameters(model: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
