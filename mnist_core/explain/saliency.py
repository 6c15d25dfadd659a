"""Saliency: which pixels of an image speak for a class, by three methods of Captum.

The score of a class is its logit, divided by the model's temperature: what the softmax is given. A log-softmax head is
left out, as its gradient vanishes where the network is sure. Captum is imported when a map is asked for: it takes 0.4
to 0.7 s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from mnist_core.errors import ConfigError
from mnist_core.explain.activations import Activation, activations, as_batch, layer, private_copy
from mnist_core.models.classifier import Classifier

Method = Literal["integrated-gradients", "grad-cam", "occlusion"]
METHODS: tuple[Method, ...] = get_args(Method)
STEPS, MOST_STEPS = 64, 1024  # of the integral; doubled while the error is above TOLERANCE of the score's change
TOLERANCE = 0.01
WINDOW, STRIDE = 1 / 7, 1 / 14  # of the image's side: 4 and 2 px of 28
LEAST_SIDE = 5  # px: the map that Grad-CAM looks at, where none is named, is the last one at least so large
CHUNK = 64  # images that Captum puts through the network at once


@dataclass(frozen=True, eq=False)
class Saliency:
    """A map over a model's input: `map` (H, W) float32, positive where the pixel speaks for class `target`.

    `score` is the class's score for the image, `baseline_score` that for the empty ground. `completeness_error` is
    how far the map's sum is from the difference of both, in units of the score. Integrated gradients promise a small
    one; the other methods promise nothing of the kind. `layer` is the layer that Grad-CAM looked at.
    """

    method: Method
    target: int
    map: np.ndarray
    score: float
    baseline_score: float
    completeness_error: float
    layer: str | None = None


def saliency(
    model: Classifier, image: np.ndarray, method: Method, target: int | None = None, layer_name: str | None = None
) -> Saliency:
    """The saliency map of a model's input, (H, W), (H, W, 3) or (C, H, W) uint8, for a class; by default the answer.

    `layer_name` is the layer whose maps Grad-CAM weighs. Raises ConfigError for an unknown method or class, and where
    Grad-CAM finds no maps: a network of dense layers has none.
    """
    if method not in METHODS:
        raise ConfigError(f"There is no method '{method}'; there are: {', '.join(METHODS)}.")
    batch = as_batch(image)
    with torch.inference_mode():
        scores = class_scores(model)(torch.cat([batch, ground(model, batch)]))
    target = int(scores[0].argmax()) if target is None else target
    if not 0 <= target < scores.shape[1]:
        raise ConfigError(f"There is no class {target}: the model has the classes 0 to {scores.shape[1] - 1}.")
    if method == "grad-cam":
        layer_name = layer_name or last_maps(activations(model, image))
    score, baseline = scores[:, target].tolist()
    steps = STEPS
    while True:
        found = attribute(model, batch, torch.tensor([target]), method, layer_name, steps)[0]
        error = abs(float(found.sum()) - (score - baseline))
        steps *= 2
        if method != "integrated-gradients" or error <= TOLERANCE * abs(score - baseline) or steps > MOST_STEPS:
            break
    shown = layer_name if method == "grad-cam" else None
    return Saliency(method, target, found.numpy().astype(np.float32), score, baseline, error, shown)


def attribute(
    model: Classifier,
    images: Tensor,
    targets: Tensor,
    method: Method,
    layer_name: str | None = None,
    steps: int = STEPS,
) -> Tensor:
    """(N, C, H, W) float32 in [0, 1] and (N,) int64 classes → (N, H, W) float32, summed over channels.

    Integrated gradients: M. Sundararajan, A. Taly, Q. Yan, 2017, arXiv:1703.01365, from the empty ground, with the
    Gauss-Legendre rule. Grad-CAM: R. R. Selvaraju et al., 2016, arXiv:1610.02391, its map enlarged bilinearly; it needs
    `layer_name`. Occlusion: M. D. Zeiler, R. Fergus, 2013, arXiv:1311.2901, by windows of a seventh of the image's
    side filled with the ground. Raises ConfigError for an unknown layer.
    """
    from captum.attr import IntegratedGradients, LayerAttribution, LayerGradCam, Occlusion

    model = private_copy(model)
    score, side = class_scores(model), images.shape[2:]
    if method == "integrated-gradients":
        found = IntegratedGradients(score).attribute(
            images, ground(model, images), target=targets, n_steps=steps, internal_batch_size=max(CHUNK, len(images))
        )
    elif method == "grad-cam":
        if layer_name is None:
            raise ConfigError("Grad-CAM needs a layer whose maps it weighs.")
        coarse = LayerGradCam(score, layer(model, layer_name)).attribute(images, target=targets, relu_attributions=True)
        found = LayerAttribution.interpolate(coarse, tuple(side), "bilinear")
    else:
        window, stride = ([max(1, round(share * length)) for length in side] for share in (WINDOW, STRIDE))
        channels = images.shape[1]
        with torch.inference_mode():
            found = Occlusion(score).attribute(
                images,
                sliding_window_shapes=(channels, *window),
                strides=(channels, *stride),
                baselines=ground(model, images[:1]),
                target=targets,
                perturbations_per_eval=max(1, 4 * CHUNK // len(images)),
            )[:, :1]  # the same for all channels, which are covered together
    summed: Tensor = found.detach().float().sum(dim=1)
    return summed


class _Scores(nn.Module):
    """(N, C, H, W) float32 in [0, 1] → (N, classes): the logits over the temperature, without a head."""

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        model = self.model
        logits: Tensor = model.net((images - model.mean) / model.std)
        return logits / model.temperature


def class_scores(model: Classifier) -> nn.Module:
    """The network that gives the classes' scores."""
    return _Scores(model)


def ground(model: Classifier, images: Tensor) -> Tensor:
    """An image without content, of the shape of `images`: black where a model learned from light strokes on black, or
    white for dark ones on white; for colour the mean of its training images."""
    mean = model.mean
    if mean.shape[1] == 1:
        mean = (mean > 0.5).to(mean.dtype)
    return mean.expand_as(images).clone()


def last_maps(found: Sequence[Activation]) -> str:
    """The layer that Grad-CAM looks at by default: the last with maps of at least 5 px a side, or else the last.

    Raises ConfigError for a network without maps.
    """
    maps = map_layers(found)
    if not maps:
        raise ConfigError(
            "This network has dense layers only, and no feature maps for Grad-CAM: choose another method."
        )
    large = [activation for activation in maps if min(activation.output.shape[1:]) >= LEAST_SIDE]
    return (large or maps)[-1].name


def map_layers(found: Sequence[Activation]) -> list[Activation]:
    """The layers with maps of more than one pixel that Grad-CAM can look at."""
    return [a for a in found if a.has_maps and min(a.output.shape[1:]) > 1 and a.kind != "Dropout"]
