"""The registry of architectures: a name → a network that maps (N, C, H, W) float32 to (N, classes) logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mnist_core.config import Shape, TrainConfig
from mnist_core.errors import ConfigError

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky-relu": nn.LeakyReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "elu": nn.ELU,
}


@dataclass(frozen=True)
class Layer:
    """One row of a layer table."""

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int


@dataclass(frozen=True)
class ModelSpec:
    name: str
    summary: str
    build: Callable[[TrainConfig, Shape], nn.Module]
    least_side: int = 1  # pixels that an image must have at least, for every layer to have something to see


MODELS: dict[str, ModelSpec] = {}


def register(name: str, summary: str, least_side: int = 1) -> Callable[[Callable], Callable]:
    """Adds a builder `(config, shape) → nn.Module` to the registry under `name`."""

    def add(build: Callable[[TrainConfig, Shape], nn.Module]) -> Callable:
        MODELS[name] = ModelSpec(name, summary, build, least_side)
        return build

    return add


class Classifier(nn.Module):
    """(N, C, H, W) float32 in [0, 1] → (N, classes) logits. The normalisation belongs to the model, not to its caller.

    `mean` and `std` hold one number per channel, for pixels in [0, 1]; they are kept in the card, not in the weights.
    """

    def __init__(self, net: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        return self.net((images - self.mean) / self.std)


def build_model(
    config: TrainConfig, shape: Shape, mean: Sequence[float] = (0.0,), std: Sequence[float] = (1.0,)
) -> Classifier:
    """The network that `config` asks for, with fresh weights from torch's global random state.

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
    # channels_last is the layout in which the CPU's convolution kernels are fastest
    net = spec.build(config, shape).to(memory_format=torch.channels_last)
    return Classifier(net, mean, std)


def count_parameters(model: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def layer_table(model: nn.Module, shape: Shape) -> list[Layer]:
    """Every leaf layer in the order of execution, with its output shape for one image and its parameters."""
    rows: list[Layer] = []
    names = {module: name.removeprefix("net.") for name, module in model.named_modules()}

    def note(module: nn.Module, _inputs: object, output: Tensor) -> None:
        own = sum(p.numel() for p in module.parameters(recurse=False) if p.requires_grad)
        rows.append(Layer(names[module], type(module).__name__, tuple(output.shape[1:]), own))

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


class MaxMeanPool(nn.Module):
    """(N, C, H, W) → (N, 2C): the strongest and the average response of each channel over the image.

    The maximum says whether a stroke is there at all, the mean how much of it.
    """

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x.amax(dim=(2, 3)), x.mean(dim=(2, 3))], dim=1)


def _conv_block(config: TrainConfig, inputs: int, outputs: int, **kwargs: int) -> list[nn.Module]:
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, bias=not config.batch_norm, **kwargs)]
    if config.batch_norm:
        layers.append(nn.BatchNorm2d(outputs))
    layers.append(ACTIVATIONS[config.activation]())
    return layers


def _pooled_cnn(config: TrainConfig, shape: Shape, widths: tuple[int, int, int]) -> nn.Module:
    first, second, third = widths
    return nn.Sequential(
        *_conv_block(config, shape.channels, first, kernel_size=5, stride=2, padding=2),
        *_conv_block(config, first, second, kernel_size=3),
        nn.MaxPool2d(2),
        *_conv_block(config, second, third, kernel_size=3),
        MaxMeanPool(),
        nn.Dropout(config.dropout),
        nn.Linear(2 * third, shape.classes),
    )


@register(
    "small-cnn", "25k parameters: a 5×5 stride-2 and two 3×3 convolutions, max+mean pooling. Fastest to 99 %.", 15
)
def small_cnn(config: TrainConfig, shape: Shape) -> nn.Module:
    return _pooled_cnn(config, shape, (16, 32, 64))


@register("lab-cnn", "78k parameters: five 3×3 convolutions, max+mean pooling. Small and accurate.", 17)
def lab_cnn(config: TrainConfig, shape: Shape) -> nn.Module:
    return nn.Sequential(
        *_conv_block(config, shape.channels, 24, kernel_size=3),
        *_conv_block(config, 24, 32, kernel_size=3, stride=2, padding=1),
        *_conv_block(config, 32, 48, kernel_size=3),
        *_conv_block(config, 48, 48, kernel_size=3, padding=1),
        nn.MaxPool2d(2),
        *_conv_block(config, 48, 80, kernel_size=3),
        MaxMeanPool(),
        nn.Dropout(config.dropout),
        nn.Linear(160, shape.classes),
    )


@register("two-conv", "1.2M parameters: two 3×3 convolutions (32, 64), max-pooling, a dense layer of 128.", 6)
def two_conv(config: TrainConfig, shape: Shape) -> nn.Module:
    """The CNN of the first earlier system; batch norm and dropout behind the first convolution are its two options."""
    height, width = (shape.height - 4) // 2, (shape.width - 4) // 2
    activation = ACTIVATIONS[config.activation]
    return nn.Sequential(
        nn.Conv2d(shape.channels, 32, kernel_size=3),
        activation(),
        *([nn.BatchNorm2d(32)] if config.batch_norm else []),
        nn.Dropout(config.dropout),
        nn.Conv2d(32, 64, kernel_size=3),
        activation(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * height * width, 128),
        activation(),
        nn.Linear(128, shape.classes),
    )


@register("mlp", "109k parameters: dense layers of 128 and 64, no convolution. The baseline to beat.")
def mlp(config: TrainConfig, shape: Shape) -> nn.Module:
    layers: list[nn.Module] = [nn.Flatten()]
    width = shape.channels * shape.height * shape.width
    for outputs in (128, 64):
        layers.append(nn.Linear(width, outputs))
        if config.batch_norm:
            layers.append(nn.BatchNorm1d(outputs))
        layers += [ACTIVATIONS[config.activation](), nn.Dropout(config.dropout)]
        width = outputs
    return nn.Sequential(*layers, nn.Linear(width, shape.classes))
