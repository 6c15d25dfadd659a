"""The first layer of a network as pictures, without torch: its filters, and the maps that they make of an image."""

from __future__ import annotations

import numpy as np

from mnist_core.inference.network import GivenWeights, session
from mnist_core.models.architectures import describe
from mnist_core.models.checkpoint import Checkpoint
from mnist_core.models.layers import Activation, BatchNorm2d, Conv2d, Dropout, Linear, MaxPool2d, named_layers
from mnist_core.models.onnx_graph import INPUT, onnx_beginning

MOST_FILTERS = 32
_OF_THE_FIRST = (Activation, BatchNorm2d, Dropout, MaxPool2d)  # what may follow the first convolution


def filters(checkpoint: Checkpoint, most: int = MOST_FILTERS) -> np.ndarray | None:
    """(n, C, h, w) float32: the weights of the first `most` units, each in the shape of what it looks at.

    None where the first layer with weights does not look at the image itself.
    """
    shape, network = checkpoint.card.shape, describe(checkpoint.card.network, checkpoint.card.shape)
    name, layer = next((name, each) for name, each in named_layers(network) if isinstance(each, Conv2d | Linear))
    weights = checkpoint.weights[f"net.{name}.weight"][:most]
    if isinstance(layer, Conv2d):
        return weights
    if layer.in_features == shape.channels * shape.height * shape.width:
        return weights.reshape(-1, shape.channels, shape.height, shape.width)
    return None


def maps(
    checkpoint: Checkpoint, image: np.ndarray, most: int = MOST_FILTERS, learning: bool = False
) -> np.ndarray | None:
    """(C, H, W) uint8 → (n, h, w) float32: what the first convolution, with the norm, the activation and the pooling
    that follow it, makes of the image. None where the network does not begin with a convolution.

    `learning` as in inference/network.py.
    """
    card = checkpoint.card
    layers = describe(card.network, card.shape).layers
    if not isinstance(layers[0], Conv2d):
        return None
    count = next((n for n, layer in enumerate(layers) if n and not isinstance(layer, _OF_THE_FIRST)), len(layers))
    unit = np.divide(image[None], 255, dtype=np.float32)
    if learning:
        found: np.ndarray = GivenWeights(onnx_beginning, checkpoint, count).run(None, {INPUT: unit})[0]
    else:
        graph = onnx_beginning(card.network, card.shape, checkpoint.weights, card.mean, card.std, count)
        found = session(graph).run(None, {INPUT: unit})[0]
    return found[0, :most]
