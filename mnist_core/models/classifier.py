"""Classifier: a registered network with its normalisation; and the table of its layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mnist_core.config import Shape, TrainConfig
from mnist_core.errors import ConfigError
from mnist_core.models.architectures import MODELS


@dataclass(frozen=True)
class Layer:
    """One row of a layer table."""

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    receptive_field: int | None  # px a side of the image that one output value depends on; None: the whole image


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
        self, net: nn.Module, mean: Sequence[float], std: Sequence[float], head: nn.Module | None = None
    ) -> None:
        super().__init__()
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


def build_model(
    config: TrainConfig, shape: Shape, mean: Sequence[float] = (0.0,), std: Sequence[float] = (1.0,)
) -> Classifier:
    """The network of `config`, with fresh weights from torch's global random state.

    Raises ConfigError for an unknown architecture or images too small for it.
    """
    if config.model not in MODELS:
        raise ConfigError(f"There is no model '{config.model}'; there are: {', '.join(MODELS)}.")
    spec = MODELS[config.model]
    if min(shape.height, shape.width) < spec.least_side:
        raise ConfigError(
            f"{config.model} needs images of at least {spec.least_side}×{spec.least_side} pixels, "
            f"not {shape.height}×{shape.width}."
        )
    # the CPU's convolution kernels are fastest in channels_last
    net = spec.build(config, shape).to(memory_format=torch.channels_last)
    if config.l2_first and not any(isinstance(module, nn.Linear) for module in net.modules()):
        raise ConfigError(f"{config.model} has no dense layer whose weights l2_first could penalise: set it to 0.")
    return Classifier(net, mean, std, nn.LogSoftmax(dim=1) if config.head == "log-softmax" else None)


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


def layer_table(model: nn.Module, shape: Shape) -> list[Layer]:
    """Every leaf layer in the order of execution, for one image of `shape`."""
    rows: list[Layer] = []
    names = {module: name.removeprefix("net.") for name, module in model.named_modules()}
    fields = _ReceptiveFields()

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        own = sum(p.numel() for p in module.parameters(recurse=False) if p.requires_grad)
        field = fields.follow(module, inputs[0], output)
        rows.append(Layer(names[module], type(module).__name__, tuple(output.shape[1:]), own, field))

    leaves = [m for m in model.modules() if not list(m.children())]
    hooks = [leaf.register_forward_hook(note) for leaf in leaves]
    was_training = model.training
    try:
        with torch.no_grad():
            model.eval()(torch.zeros(1, shape.channels, shape.height, shape.width))
    finally:
        model.train(was_training)
        for hook in hooks:
            hook.remove()
    return rows


class _ReceptiveFields:
    """Receptive fields from layer to layer: a kernel of k adds (k - 1) times the product of the strides before it.

    Where branches meet, the widest counts. Source: Araujo, Norris, Sim, Computing Receptive Fields of Convolutional
    Neural Networks, Distill, 2019.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[Tensor, int | None, int]] = {}  # a kept tensor keeps its id
        self._widest: tuple[int | None, int] = (1, 1)

    def follow(self, module: nn.Module, given: Tensor, output: Tensor) -> int | None:
        """The receptive field of `output`, in pixels a side; None once it is the whole image."""
        _, field, jump = self._known.get(id(given), (given, *self._widest))
        if output.dim() < 4 or isinstance(module, nn.AdaptiveAvgPool2d):
            field = None  # flattened or pooled over the image
        elif field is not None and isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
            kernel, stride = (v if isinstance(v, int) else v[0] for v in (module.kernel_size, module.stride))
            field, jump = field + (kernel - 1) * jump, jump * stride
        self._known[id(output)] = (output, field, jump)
        if field is None or (self._widest[0] is not None and field >= self._widest[0]):
            self._widest = (field, jump)
        return field
