"""What a unit answers to: the image that activation maximisation finds for it, and the images that excite it most.

D. Erhan, Y. Bengio, A. Courville, P. Vincent, Visualizing Higher-Layer Features of a Deep Network, 2009. The measure
is the mean of the unit's map.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from mnist_core.config import Shape
from mnist_core.errors import ConfigError
from mnist_core.explain.activations import layer, private_copy
from mnist_core.explain.saliency import ground
from mnist_core.models.classifier import Classifier, to_unit
from mnist_core.system.progress import Progress

STEPS, RATE = 120, 0.05
SHRINKAGE, SMOOTHNESS = 0.05, 0.2  # weights of the mean |pixel - ground| and of the mean difference of neighbours
CHUNK = 500  # images at once


@dataclass(frozen=True, eq=False)
class Maximised:
    """`image` (C, H, W) uint8, the unit's mean answer to it, and to the empty ground."""

    image: np.ndarray
    value: float
    ground_value: float


def maximise(
    model: Classifier,
    name: str,
    unit: int,
    shape: Shape,
    seed: int = 0,
    shrinkage: float = SHRINKAGE,
    smoothness: float = SMOOTHNESS,
) -> Maximised:
    """The image of `shape` that excites a unit of the layer `name`: gradient ascent on its pixels, kept in [0, 1].

    It begins with the ground and faint noise drawn with `seed`. Two penalties, in units of the spread of the
    layer's answers, keep the image empty where nothing is gained, and smooth. Raises ConfigError for an unknown
    layer or unit.
    """
    model = private_copy(model)
    start = ground(model, torch.zeros(1, shape.channels, shape.height, shape.width))
    noise = torch.rand(start.shape, generator=torch.Generator().manual_seed(seed))
    image = (start + 0.1 * (noise - start)).requires_grad_()
    with torch.inference_mode():
        empty_answers = _answers(model, name, start)[0]
        scale = float(_answers(model, name, (start + noise) / 2)[0].std(correction=0)) + 1e-6
    if not 0 <= unit < len(empty_answers):
        raise ConfigError(
            f"The layer '{name}' has {len(empty_answers)} units (0 to {len(empty_answers) - 1}), and {unit} is none."
        )
    best, best_value = start, float(empty_answers[unit])
    optimizer = torch.optim.Adam([image], RATE)
    with torch.enable_grad():
        for _ in range(STEPS):
            optimizer.zero_grad()
            answer = _answers(model, name, image)[0, unit]
            empty = (image - start).abs().mean()
            rough = (image.diff(dim=2).abs().mean() + image.diff(dim=3).abs().mean()) / 2
            loss = -answer / scale + shrinkage * empty + smoothness * rough
            (image.grad,) = torch.autograd.grad(loss, image)
            optimizer.step()
            with torch.no_grad():
                image.clamp_(0, 1)
    with torch.inference_mode():
        pixels = (image.detach() * 255).round()
        value = float(_answers(model, name, pixels / 255)[0, unit])
    if value > best_value:
        best, best_value = pixels / 255, value
    return Maximised((best[0] * 255).round().to(torch.uint8).numpy(), best_value, float(empty_answers[unit]))


class _ReachedError(Exception):
    """The layer has answered: what follows need not be computed."""


def unit_answers(model: Classifier, name: str, images: Tensor) -> Tensor:
    """(N, C, H, W) float32 in [0, 1] → (N, units): the answer of every unit of a layer, the mean of its map."""
    return _answers(private_copy(model), name, images)


def _answers(model: Classifier, name: str, images: Tensor) -> Tensor:
    kept: list[Tensor] = []

    def keep(module: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        kept.append(output.mean(dim=(2, 3)) if output.dim() == 4 else output)
        raise _ReachedError

    hook = layer(model, name).register_forward_hook(keep)
    try:
        model(images)
    except _ReachedError:
        pass
    finally:
        hook.remove()
    return kept[0]


def most_exciting(
    model: Classifier, name: str, images: np.ndarray, count: int = 9, progress: Progress | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """(N, C, H, W) uint8 → (units, count) int64 rows and float32 answers of the images that excite each unit most."""
    answers, done = [], 0
    model = private_copy(model)
    with torch.inference_mode():
        for chunk in np.split(images, range(CHUNK, len(images), CHUNK)):
            answers.append(_answers(model, name, to_unit(chunk)))
            done += len(chunk)
            if progress:
                progress(done / len(images))
    found = torch.cat(answers).T.topk(min(count, len(images)), dim=1)
    return found.indices.numpy(), found.values.float().numpy()
