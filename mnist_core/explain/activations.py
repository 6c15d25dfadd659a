"""Activations: what every layer of a network answers to one image."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from mnist_core.config import Shape
from mnist_core.errors import ConfigError
from mnist_core.models.classifier import Classifier, to_unit
from mnist_core.models.modules import Residual

PASSING = ("Dropout", "Flatten")  # kinds that give what they are given, once trained


@dataclass(frozen=True, eq=False)
class Activation:
    """One layer's answer to an image, in the order of execution.

    `output` and `given` (what the layer was given) are float32, (C, H, W) of a layer with feature maps and (U,) of
    one without. `kind` is the class of the layer, `Residual` where a shortcut is added to what it goes round.
    `receptive_field` is the side in px of the part of the image that one value depends on, None for all of it.
    """

    name: str
    kind: str
    output: np.ndarray
    given: np.ndarray
    parameters: int
    receptive_field: int | None

    @property
    def has_maps(self) -> bool:
        """Whether it gives maps with rows and columns, rather than one number per unit."""
        return self.output.ndim == 3

    @property
    def strength(self) -> np.ndarray:
        """(C,) or (U,) float32: how strongly each unit answers, the mean of |output| over its map."""
        magnitude: np.ndarray = np.abs(self.output)
        return np.asarray(magnitude.mean(axis=(1, 2))) if self.has_maps else magnitude

    @property
    def strongest(self) -> int:
        """The index of the unit that answers most strongly."""
        return int(self.strength.argmax())

    @property
    def title(self) -> str:
        """Its kind and the shape of its output, as in `Conv2d 16×12×12`."""
        return f"{self.kind} {'×'.join(map(str, self.output.shape))}"


def private_copy(model: Classifier) -> Classifier:
    """The network in evaluation mode with the same weights in memory and modules of its own.

    Hooks on it are the caller's alone: other threads may ask the network meanwhile.
    """
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    return copy.deepcopy(model, shared).eval()


def traced_layers(model: Classifier) -> dict[str, nn.Module]:
    """Name → module of every layer whose answer is kept: those without children, and sums of shortcuts."""
    names = {module: name.removeprefix("net.") for name, module in model.named_modules()}
    return {names[m]: m for m in model.modules() if isinstance(m, Residual) or not list(m.children())}


def layer(model: Classifier, name: str) -> nn.Module:
    """The layer of that name. Raises ConfigError where there is none."""
    found = traced_layers(model)
    if name not in found:
        raise ConfigError(f"The network has no layer '{name[:60]}'; there are: {', '.join(found)}.")
    return found[name]


def as_batch(image: np.ndarray) -> Tensor:
    """(H, W), (H, W, 3) or (C, H, W) uint8 → (1, C, H, W) float32 in [0, 1]."""
    if image.ndim == 2:
        image = image[None]
    elif image.shape[-1] == 3 and image.shape[0] not in (1, 3):
        image = image.transpose(2, 0, 1)
    return to_unit(np.ascontiguousarray(image)[None])


def activations(model: Classifier, image: np.ndarray) -> list[Activation]:
    """A model's input, (H, W), (H, W, 3) or (C, H, W) uint8 → every layer's answer, in the order of execution."""
    batch, model = as_batch(image), private_copy(model)
    rows = {row.name: row for row in model.table}
    found: list[Activation] = []
    names = {module: name for name, module in traced_layers(model).items()}

    def keep(module: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        name, row = names[module], rows.get(names[module])
        field = row.receptive_field if row else found[-1].receptive_field  # of a sum: as wide as its last layer
        kind, parameters = type(module).__name__, row.parameters if row else 0
        found.append(Activation(name, kind, _array(output), _array(given[0]), parameters, field))

    for module in names:
        module.register_forward_hook(keep)
    with torch.inference_mode():
        model(batch)
    return found


def _array(values: Tensor) -> np.ndarray:
    """(1, …) → (…) float32, a copy: what follows may overwrite it."""
    return np.array(values[0].float().cpu().numpy(), order="C")


def filters(model: Classifier, name: str, shape: Shape) -> np.ndarray | None:
    """The weights of a layer as pictures, (units, inputs, h, w) float32.

    Those of a convolution are its kernels; those of a dense layer are pictures where it reads all pixels of images of
    `shape`. None for other layers. Raises ConfigError where there is no such layer.
    """
    module = layer(model, name)
    if not isinstance(module, nn.Conv2d | nn.Linear):
        return None
    weights: np.ndarray = module.weight.detach().float().cpu().numpy()
    if isinstance(module, nn.Conv2d):
        return weights
    if module.in_features != shape.channels * shape.height * shape.width:
        return None
    return weights.reshape(-1, shape.channels, shape.height, shape.width)
