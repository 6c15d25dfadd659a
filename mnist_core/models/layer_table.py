"""The table of a network's layers: what each gives, learns and sees, from their description alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mnist_core.config import Shape, TrainConfig
from mnist_core.models.architectures import describe
from mnist_core.models.layers import (
    Activation,
    AdaptiveAvgPool2d,
    Conv2d,
    Flatten,
    Layer,
    Linear,
    MaxMeanPool,
    MaxPool2d,
    named_layers,
    tensor_shapes,
)


@dataclass(frozen=True)
class LayerRow:
    """One row of a layer table. Shapes are of one image, without the batch."""

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    receptive_field: int | None  # px a side of the image that one output value depends on; None: the whole image


def layer_table(config: TrainConfig, shape: Shape) -> list[LayerRow]:
    """Every layer of the network of `config` that is not made of others, in the order of execution. Raises ConfigError.

    A kernel of k widens the receptive field by k - 1 times the product of the strides before it; where branches meet,
    the widest counts. Source: Araujo, Norris, Sim, Computing Receptive Fields of Convolutional Neural Networks,
    Distill, 2019.
    """
    network = describe(config, shape)
    tensors = tensor_shapes(network)
    rows: list[LayerRow] = []
    size: tuple[int, ...] = (shape.channels, shape.height, shape.width)
    field: int | None = 1
    step = 1
    for name, layer in named_layers(network):
        size = _output(layer, size)
        if len(size) < 3 or isinstance(layer, AdaptiveAvgPool2d):
            field = None
        elif field is not None and isinstance(layer, Conv2d | MaxPool2d):
            field, step = field + (layer.kernel_size - 1) * step, step * (layer.stride or layer.kernel_size)
        learned = sum(math.prod(tensors.get(f"{name}.{part}", (0,))) for part in ("weight", "bias"))
        kind = layer.kind if isinstance(layer, Activation) else type(layer).__name__
        rows.append(LayerRow(name, kind, size, learned, field))
    if config.head == "log-softmax":
        rows.append(LayerRow("head", "LogSoftmax", size, 0, None))
    return rows


def _output(layer: Layer, size: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that `layer` makes of one image's `size`."""
    match layer:
        case Conv2d(out_channels=channels):
            return channels, *(_windows(side, layer.kernel_size, layer.stride, layer.padding) for side in size[1:])
        case MaxPool2d(kernel, stride, padding):
            return size[0], *(_windows(side, kernel, stride or kernel, padding) for side in size[1:])
        case AdaptiveAvgPool2d():
            return size[0], 1, 1
        case MaxMeanPool():
            return (2 * size[0],)
        case Flatten():
            return (math.prod(size),)
        case Linear(out_features=features):
            return (features,)
    return size


def _windows(side: int, kernel: int, stride: int, padding: int) -> int:
    return (side + 2 * padding - kernel) // stride + 1
