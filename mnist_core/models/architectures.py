"""The registry of architectures: a name → a network that maps (N, C, H, W) float32 to (N, classes) logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mnist_core.config import Shape, TrainConfig
from mnist_core.errors import ConfigError
from mnist_core.models.layers import (
    Activation,
    AdaptiveAvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Layer,
    Linear,
    MaxMeanPool,
    MaxPool2d,
    Residual,
    Sequential,
    named_layers,
)

ACTIVATIONS = {  # name → class of torch.nn
    "relu": "ReLU",
    "leaky-relu": "LeakyReLU",
    "gelu": "GELU",
    "silu": "SiLU",
    "tanh": "Tanh",
    "elu": "ELU",
}


Build = Callable[[TrainConfig, Shape], Sequential]


@dataclass(frozen=True)
class ModelSpec:
    """A registered architecture: its name, a line about it, and `build(config, shape)`, which describes its layers."""

    name: str
    summary: str
    build: Build
    least_side: int = 1  # px: smaller images leave a layer without input
    dropout: bool = True  # whether it has dropout layers


MODELS: dict[str, ModelSpec] = {}


def register(name: str, summary: str, least_side: int = 1) -> Callable[[Build], Build]:
    """Adds a builder `(config, shape) → Sequential` to the registry under `name`."""

    def add(build: Build) -> Build:
        MODELS[name] = ModelSpec(name, summary, build, least_side)
        return build

    return add


def describe(config: TrainConfig, shape: Shape) -> Sequential:
    """The layers of the network of `config` for images of `shape`.

    Raises ConfigError for an unknown architecture, images too small for it, or a setting that it cannot meet.
    """
    if config.model not in MODELS:
        raise ConfigError(f"There is no model '{config.model}'; there are: {', '.join(MODELS)}.")
    spec = MODELS[config.model]
    if min(shape.height, shape.width) < spec.least_side:
        raise ConfigError(
            f"{config.model} needs images of at least {spec.least_side}×{spec.least_side} pixels, "
            f"not {shape.height}×{shape.width}."
        )
    network = spec.build(config, shape)
    if config.l2_first and not any(isinstance(layer, Linear) for _, layer in named_layers(network)):
        raise ConfigError(f"{config.model} has no dense layer whose weights l2_first could penalise: set it to 0.")
    return network


def has_dropout(model: str) -> bool:
    """Whether the registered network `model` has dropout layers, of any probability."""
    return model in MODELS and MODELS[model].dropout


def _activation(config: TrainConfig) -> Activation:
    """The activation layer of `config`."""
    return Activation(ACTIVATIONS[config.activation])


def _conv_block(
    config: TrainConfig, inputs: int, outputs: int, kernel_size: int, stride: int = 1, padding: int = 0
) -> list[Layer]:
    layers: list[Layer] = [
        Conv2d(inputs, outputs, kernel_size, stride, padding, bias=not config.batch_norm),
    ]
    if config.batch_norm:
        layers.append(BatchNorm2d(outputs))
    layers.append(_activation(config))
    return layers


def _pooled_block(config: TrainConfig, inputs: int, outputs: int, padding: int = 0) -> list[Layer]:
    """A 3×3 convolution whose output is pooled before batch norm, which then has a quarter of the values to read."""
    convolution, *rest = _conv_block(config, inputs, outputs, kernel_size=3, padding=padding)
    return [convolution, MaxPool2d(2), *rest]


def _read_out(config: TrainConfig, channels: int, shape: Shape) -> list[Layer]:
    """Features of any size → logits."""
    return [MaxMeanPool(), Dropout(config.dropout), Linear(2 * channels, shape.classes)]


@register("small-cnn", "25k parameters: a 5×5 stride-2 and two 3×3 convolutions, max+mean pooling.", 15)
def small_cnn(config: TrainConfig, shape: Shape) -> Sequential:
    return _strided_cnn(config, shape, padding=2, pool_at_once=False)


@register("quick-cnn", "25k parameters: small-cnn without padding, and pooled sooner. Fastest to 99 %.", 19)
def quick_cnn(config: TrainConfig, shape: Shape) -> Sequential:
    """small-cnn with a quarter less work: no padding, as a digit's margin is empty, and pooling before batch norm."""
    return _strided_cnn(config, shape, padding=0, pool_at_once=True)


def _strided_cnn(config: TrainConfig, shape: Shape, padding: int, pool_at_once: bool) -> Sequential:
    first, second, third = (16, 32, 64)
    if pool_at_once:
        block = _pooled_block(config, first, second)
    else:
        block = [*_conv_block(config, first, second, kernel_size=3), MaxPool2d(2)]
    start = _conv_block(config, shape.channels, first, kernel_size=5, stride=2, padding=padding)
    return Sequential(
        *start,
        *block,
        *_conv_block(config, second, third, kernel_size=3),
        *_read_out(config, third, shape),
        drawn_first=range(len(start), len(start) + len(block)),
    )


@register("lab-cnn", "78k parameters: five 3×3 convolutions, max+mean pooling. Small and accurate.", 17)
def lab_cnn(config: TrainConfig, shape: Shape) -> Sequential:
    return _five_conv(config, shape, (24, 32, 48, 48, 80))


@register("wide-cnn", "309k parameters: lab-cnn with twice the channels.", 17)
def wide_cnn(config: TrainConfig, shape: Shape) -> Sequential:
    return _five_conv(config, shape, (48, 64, 96, 96, 160))


def _five_conv(config: TrainConfig, shape: Shape, widths: tuple[int, int, int, int, int]) -> Sequential:
    first, second, third, fourth, fifth = widths
    return Sequential(
        *_conv_block(config, shape.channels, first, kernel_size=3),
        *_conv_block(config, first, second, kernel_size=3, stride=2, padding=1),
        *_conv_block(config, second, third, kernel_size=3),
        *_conv_block(config, third, fourth, kernel_size=3, padding=1),
        MaxPool2d(2),
        *_conv_block(config, fourth, fifth, kernel_size=3),
        *_read_out(config, fifth, shape),
    )


@register(
    "separable-cnn",
    "18.2k parameters: a 3×3 and four depthwise separable convolutions, max+mean pooling. The tiny one.",
    9,
)
def separable_cnn(config: TrainConfig, shape: Shape) -> Sequential:
    """Depthwise separable convolutions (MobileNets, arXiv:1704.04861): about a ninth of the weights per channel."""

    def separable(inputs: int, outputs: int, stride: int = 1) -> list[Layer]:
        depthwise = Conv2d(inputs, inputs, 3, stride, padding=1, groups=inputs, bias=not config.batch_norm)
        norm = [BatchNorm2d(inputs)] if config.batch_norm else []
        return [depthwise, *norm, *_conv_block(config, inputs, outputs, kernel_size=1)]

    return Sequential(
        *_conv_block(config, shape.channels, 20, kernel_size=3, padding=1),
        *separable(20, 44, stride=2),
        *separable(44, 60),
        *separable(60, 68, stride=2),
        *separable(68, 88),
        *_read_out(config, 88, shape),
    )


@register("two-conv", "1.2M parameters: two 3×3 convolutions (32, 64), max-pooling, a dense layer of 128.", 6)
def two_conv(config: TrainConfig, shape: Shape) -> Sequential:
    """The CNN of the first earlier system, with batch norm and dropout after the first convolution as options."""
    height, width = (shape.height - 4) // 2, (shape.width - 4) // 2
    return Sequential(
        Conv2d(shape.channels, 32, kernel_size=3),
        _activation(config),
        *([BatchNorm2d(32)] if config.batch_norm else []),
        Dropout(config.dropout),
        Conv2d(32, 64, kernel_size=3),
        _activation(config),
        MaxPool2d(2),
        Flatten(),
        Linear(64 * height * width, 128),
        _activation(config),
        Linear(128, shape.classes),
    )


@register("compact", "19.6k parameters, no dense layer: seven convolutions down to 1×1. The smallest past 99.4 %.", 28)
def compact(config: TrainConfig, shape: Shape) -> Sequential:
    """The fully convolutional net of the second earlier system: 28→26→24, pool 12, 1×1, 10, pool 5, 1×1, 3, 1.

    Its source gives 19,865 parameters and a receptive field of 31 but no channel counts; those here are our choice.
    Pools of 3×3 at stride 2 give the 31 (2×2 would give 28). The final mean serves images larger than 28 pixels.
    """
    first, second, third = (16, 32, 38)
    return Sequential(
        *_conv_block(config, shape.channels, first, kernel_size=3),
        Dropout(config.dropout),
        *_conv_block(config, first, second, kernel_size=3),
        Dropout(config.dropout),
        MaxPool2d(3, stride=2, padding=1),
        *_conv_block(config, second, 16, kernel_size=1),
        *_conv_block(config, 16, 32, kernel_size=3),
        MaxPool2d(3, stride=2, padding=1),
        *_conv_block(config, 32, 16, kernel_size=1),
        *_conv_block(config, 16, third, kernel_size=3),
        Conv2d(third, shape.classes, kernel_size=3),
        AdaptiveAvgPool2d(1),
        Flatten(),
    )


@register("three-conv", "391k parameters: three times convolution and pooling (32, 64, 128), a dense layer of 256.", 8)
def three_conv(config: TrainConfig, shape: Shape) -> Sequential:
    """The CNN of the third earlier system; dropout follows its dense layer."""
    layers, channels = [], shape.channels
    for width in (32, 64, 128):
        layers += [*_conv_block(config, channels, width, kernel_size=3, padding=1), MaxPool2d(2)]
        channels = width
    return Sequential(
        *layers,
        Flatten(),
        Linear(128 * (shape.height // 8) * (shape.width // 8), 256),
        _activation(config),
        Dropout(config.dropout),
        Linear(256, shape.classes),
    )


@register("two-conv-fc3", "429k parameters: two convolutions (32, 64), each pooled, dense layers of 128 and 64.", 4)
def two_conv_fc3(config: TrainConfig, shape: Shape) -> Sequential:
    """The CNN of the fourth earlier system: two convolutions before the last three layers of its dense baseline."""
    return Sequential(
        *_conv_block(config, shape.channels, 32, kernel_size=3, padding=1),
        MaxPool2d(2),
        *_conv_block(config, 32, 64, kernel_size=3, padding=1),
        MaxPool2d(2),
        *_dense(config, 64 * (shape.height // 4) * (shape.width // 4), (128, 64), shape.classes),
    )


@register(
    "residual-cnn", "117k parameters: seven 3×3 convolutions with two shortcuts, max+mean pooling. For many epochs.", 8
)
def residual_cnn(config: TrainConfig, shape: Shape) -> Sequential:
    return _two_shortcuts(config, shape, (16, 32, 64))


@register("wide-residual-cnn", "465k parameters: residual-cnn with twice the channels. On MNIST no better.", 8)
def wide_residual_cnn(config: TrainConfig, shape: Shape) -> Sequential:
    return _two_shortcuts(config, shape, (32, 64, 128))


def _two_shortcuts(config: TrainConfig, shape: Shape, widths: tuple[int, int, int]) -> Sequential:
    """Two stages, each a convolution of stride 2 and a shortcut over two more; the receptive field is 33 px."""

    def conv(inputs: int, outputs: int, stride: int = 1) -> list[Layer]:
        return _conv_block(config, inputs, outputs, kernel_size=3, stride=stride, padding=1)

    first, second, third = widths
    return Sequential(
        *conv(shape.channels, first),
        *conv(first, second, stride=2),
        _shortcut(config, second),
        *conv(second, third, stride=2),
        _shortcut(config, third),
        *_read_out(config, third, shape),
    )


@register("small-resnet", "1.65M parameters: eight 3×3 convolutions with two shortcuts, for small colour pictures.", 8)
def small_resnet(config: TrainConfig, shape: Shape) -> Sequential:
    """The ResNet-9 of D. Page's "How to train your ResNet" (2018), half as wide, with max+mean pooling at its end."""
    return Sequential(
        *_conv_block(config, shape.channels, 32, kernel_size=3, padding=1),
        *_pooled_block(config, 32, 64, padding=1),
        _shortcut(config, 64),
        *_pooled_block(config, 64, 128, padding=1),
        *_pooled_block(config, 128, 256, padding=1),
        _shortcut(config, 256),
        *_read_out(config, 256, shape),
    )


def _shortcut(config: TrainConfig, width: int) -> Residual:
    """x → x + two convolutions of x."""
    first, second = (_conv_block(config, width, width, kernel_size=3, padding=1) for _ in range(2))
    return Residual(*first, *second)


def _dense(config: TrainConfig, inputs: int, widths: Sequence[int], classes: int) -> list[Layer]:
    """Flatten, hidden dense layers of `widths`, each with its activation and dropout, and the dense output layer."""
    layers: list[Layer] = [Flatten()]
    for outputs in widths:
        layers.append(Linear(inputs, outputs))
        if config.batch_norm:
            layers.append(BatchNorm1d(outputs))
        layers += [_activation(config), Dropout(config.dropout)]
        inputs = outputs
    return [*layers, Linear(inputs, classes)]


@register("mlp", "109k parameters: dense layers of 128 and 64, no convolution. The baseline to beat.")
def mlp(config: TrainConfig, shape: Shape) -> Sequential:
    """The dense baseline of the fourth earlier system."""
    return Sequential(*_dense(config, shape.channels * shape.height * shape.width, (128, 64), shape.classes))


@register("dense", "567k parameters: three dense layers of 512, 256 and 128. Large enough to overfit.")
def dense(config: TrainConfig, shape: Shape) -> Sequential:
    """The network of the fifth earlier system; its source leaves the widths open."""
    return Sequential(*_dense(config, shape.channels * shape.height * shape.width, (512, 256, 128), shape.classes))
