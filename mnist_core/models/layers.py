"""Descriptions of layers, without torch: what an architecture is made of.

Classes and fields have the names of torch.nn's, so that `modules.build` makes the modules from them; `onnx_graph.py`
makes the same network in ONNX. Weights have the names of torch's `state_dict`: the place in each `Sequential`, then
the parameter, as in "7.0.weight".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Conv2d:
    """A convolution with a square kernel: (N, in_channels, H, W) → (N, out_channels, H', W')."""

    in_channels: int
    out_channels: int
    kernel_size: int
    stride: int = 1
    padding: int = 0
    groups: int = 1
    bias: bool = True


@dataclass(frozen=True)
class BatchNorm1d:
    """Batch normalisation of (N, num_features)."""

    num_features: int


@dataclass(frozen=True)
class BatchNorm2d:
    """Batch normalisation of (N, num_features, H, W), a channel at a time."""

    num_features: int


@dataclass(frozen=True)
class Activation:
    """An activation of torch.nn with its default arguments: ReLU, LeakyReLU, GELU, SiLU, Tanh or ELU."""

    kind: str


@dataclass(frozen=True)
class MaxPool2d:
    """The maximum of each window; `stride` is the window's size where it is not given."""

    kernel_size: int
    stride: int | None = None
    padding: int = 0


@dataclass(frozen=True)
class AdaptiveAvgPool2d:
    """(N, C, H, W) → (N, C, 1, 1): the mean of each channel; `output_size` is always 1."""

    output_size: int = 1


@dataclass(frozen=True)
class MaxMeanPool:
    """(N, C, H, W) → (N, 2C): the maximum and the mean of each channel over the image."""


@dataclass(frozen=True)
class Flatten:
    """(N, ...) → (N, F)."""


@dataclass(frozen=True)
class Linear:
    """A dense layer: (N, in_features) → (N, out_features)."""

    in_features: int
    out_features: int


@dataclass(frozen=True)
class Dropout:
    """In training sets the share `p` of its input to zero."""

    p: float


@dataclass(frozen=True, init=False)
class Sequential:
    """One layer after another.

    `drawn_first` are the places of layers whose weights are drawn at random before those of the others: a seed keeps
    giving the weights that it gave when this network's code made them in that order.
    """

    layers: tuple[Layer, ...]
    drawn_first: tuple[int, ...]

    def __init__(self, *layers: Layer, drawn_first: Iterable[int] = ()) -> None:
        object.__setattr__(self, "layers", layers)
        object.__setattr__(self, "drawn_first", tuple(drawn_first))


@dataclass(frozen=True, init=False)
class Residual(Sequential):
    """x → x + layers(x)."""


Layer = (
    Conv2d
    | BatchNorm1d
    | BatchNorm2d
    | Activation
    | MaxPool2d
    | AdaptiveAvgPool2d
    | MaxMeanPool
    | Flatten
    | Linear
    | Dropout
    | Sequential
)


def named_layers(network: Sequential, prefix: str = "") -> Iterator[tuple[str, Layer]]:
    """Every layer that is not made of others, in the order of execution, with its name, as in "7.0"."""
    for place, layer in enumerate(network.layers):
        if isinstance(layer, Sequential):
            yield from named_layers(layer, f"{prefix}{place}.")
        else:
            yield f"{prefix}{place}", layer


def tensor_shapes(network: Sequential) -> dict[str, tuple[int, ...]]:
    """The shapes of the weights and statistics in the network's `state_dict`, by their names."""
    return {
        f"{name}.{tensor}": shape for name, layer in named_layers(network) for tensor, shape in _tensors(layer).items()
    }


def _tensors(layer: Layer) -> dict[str, tuple[int, ...]]:
    match layer:
        case Conv2d(inputs, outputs, side, groups=groups, bias=bias):
            weight: dict[str, tuple[int, ...]] = {"weight": (outputs, inputs // groups, side, side)}
            return {**weight, "bias": (outputs,)} if bias else weight
        case BatchNorm1d(features) | BatchNorm2d(features):
            names = ("weight", "bias", "running_mean", "running_var")
            return {**dict.fromkeys(names, (features,)), "num_batches_tracked": ()}
        case Linear(inputs, outputs):
            return {"weight": (outputs, inputs), "bias": (outputs,)}
    return {}
