"""The arithmetic of one output value of a layer with weights, step by step, checked against the network's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from mnist_core.errors import ConfigError
from mnist_core.explain.activations import Activation, activations, layer
from mnist_core.models.architectures import ACTIVATIONS
from mnist_core.models.classifier import Classifier

_ELEMENTWISE = tuple(ACTIVATIONS.values())  # names of classes of torch.nn
STEP_KINDS = {*_ELEMENTWISE, "BatchNorm2d", "BatchNorm1d", "MaxPool2d", "Dropout"}


@dataclass(frozen=True)
class Step:
    """One step after the weighted sum: the layer's name and kind, the value before and after it, and its formula."""

    name: str
    kind: str
    before: float
    after: float
    formula: str


@dataclass(frozen=True, eq=False)
class Arithmetic:
    """How one output value came about: `total` = sum of `products` + `bias`, then `steps`, ending in `value`.

    `patch` (what the unit is given there), `kernel` (its weights) and `products` are float64 of one shape: (C, h, w)
    of a convolution, (n,) of a dense layer. `corner` is the row and column of the patch's upper left value in the
    input map, negative where padding begins; None of a dense layer. `error` is the largest difference from the values
    that the network itself computed, in float32, over all steps.
    """

    layer: str
    unit: int
    patch: np.ndarray
    kernel: np.ndarray
    products: np.ndarray
    bias: float
    total: float
    steps: list[Step]
    corner: tuple[int, int] | None
    error: float

    @property
    def value(self) -> float:
        """The value after the last step."""
        return self.steps[-1].after if self.steps else self.total


def arithmetic(model: Classifier, image: np.ndarray, name: str, unit: int, row: int = 0, column: int = 0) -> Arithmetic:
    """One output value of the convolution or dense layer `name` for a model's input: that of `unit` at a position.

    The steps that follow are normalisation, activation and pooling, until the next layer with weights. Raises
    ConfigError for a layer without weighted sums, an unknown unit, and a position outside of the map.
    """
    found = activations(model, image)
    index = next((i for i, activation in enumerate(found) if activation.name == name), None)
    module = layer(model, name)
    if index is None or not isinstance(module, nn.Conv2d | nn.Linear):
        raise ConfigError(f"The layer '{name}' ({type(module).__name__}) computes no weighted sum: choose another.")
    own = found[index]
    place = (row, column) if own.has_maps else ()
    for limit, wanted, what in zip(own.output.shape, (unit, *place), ("unit", "row", "column"), strict=False):
        if not 0 <= wanted < limit:
            raise ConfigError(
                f"The layer '{name}' has {limit} {what}s (0 to {limit - 1}), and {what} {wanted} is none."
            )
    if isinstance(module, nn.Conv2d):
        patch, corner = _patch(module, own.given, unit, row, column)
    else:
        patch, corner = own.given.astype(np.float64), None
    kernel = module.weight[unit].detach().double().cpu().numpy()
    products = patch * kernel
    bias = 0.0 if module.bias is None else float(module.bias.detach()[unit])
    total = float(products.sum()) + bias
    steps, error = _steps(model, found[index + 1 :], unit, place, total)
    return Arithmetic(
        name,
        unit,
        patch,
        kernel,
        products,
        bias,
        total,
        steps,
        corner,
        max(error, abs(total - own.output[unit, *place])),
    )


def weighted_layer(found: Sequence[Activation], name: str) -> str | None:
    """The convolution or dense layer whose sums the layer `name` shows, unit by unit: itself, or one before it.

    Between the two stand only steps of `arithmetic`. None where units mix otherwise, as in a flattened layer.
    """
    place = next(i for i, activation in enumerate(found) if activation.name == name)
    for activation in reversed(found[: place + 1]):
        if activation.kind in ("Conv2d", "Linear"):
            return activation.name
        if activation.kind not in STEP_KINDS:
            return None
    return None


def _patch(
    module: nn.Conv2d, given: np.ndarray, unit: int, row: int, column: int
) -> tuple[np.ndarray, tuple[int, int]]:
    """What a kernel lies on: the values under it, zeros where it reaches into the padding, and its corner."""
    (high, wide), (down, right), (above, left) = (
        tuple(map(int, size)) for size in (module.kernel_size, module.stride, module.padding)
    )
    per_group = module.in_channels // module.groups
    first = unit // (module.out_channels // module.groups) * per_group
    padded = np.pad(given[first : first + per_group].astype(np.float64), ((0, 0), (above, above), (left, left)))
    top, start = row * down, column * right
    return padded[:, top : top + high, start : start + wide], (top - above, start - left)


def _steps(
    model: Classifier, following: Sequence[Activation], unit: int, place: tuple[int, ...], value: float
) -> tuple[list[Step], float]:
    """What happens to the value until the next weighted sum, and the largest difference from the network's own."""
    steps, error = [], 0.0
    for activation in following:
        module = layer(model, activation.name)
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            after, formula = _normalized(module, unit, value)
        elif type(module).__name__ in _ELEMENTWISE:
            with torch.inference_mode():
                after = float(module(torch.tensor(value, dtype=torch.float64)))
            formula = f"{type(module).__name__}({value:.4f})"
        elif isinstance(module, nn.MaxPool2d):
            pooled = _window(module, place, activation.output.shape[1:])
            if pooled is None:
                break
            place = pooled
            after = float(activation.output[unit, *place])
            formula = f"the largest of its {_side(module.kernel_size)}×{_side(module.kernel_size)} window"
        elif isinstance(module, nn.Dropout):
            continue
        else:
            break
        error = max(error, abs(after - float(activation.output[unit, *place])))
        steps.append(Step(activation.name, activation.kind, value, after, formula))
        value = after
    return steps, error


def _normalized(module: nn.BatchNorm2d | nn.BatchNorm1d, unit: int, value: float) -> tuple[float, str]:
    assert module.running_mean is not None
    assert module.running_var is not None
    mean, variance = float(module.running_mean[unit]), float(module.running_var[unit])
    scale, shift = float(module.weight.detach()[unit]), float(module.bias.detach()[unit])
    after = (value - mean) / (variance + module.eps) ** 0.5 * scale + shift
    return after, f"({value:.4f} - {mean:.4f}) / √({variance:.4f} + {module.eps:g}) × {scale:.4f} + {shift:.4f}"


def _side(size: int | tuple[int, ...]) -> int:
    return size if isinstance(size, int) else size[0]


def _window(module: nn.MaxPool2d, place: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """The position of a pooled map whose window begins nearest before `place`; None where none holds it."""
    stride, padding, size = _side(module.stride), _side(module.padding), _side(module.kernel_size)
    pooled = tuple(min((where + padding) // stride, side - 1) for where, side in zip(place, shape, strict=True))
    inside = all(
        p * stride - padding <= where < p * stride - padding + size for p, where in zip(pooled, place, strict=True)
    )
    return pooled if inside else None
