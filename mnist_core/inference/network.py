"""A checkpoint's network in ONNX Runtime, which takes a fifteenth of torch's memory and starts at once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import onnxruntime

from mnist_core.config import Shape, TrainConfig
from mnist_core.models.checkpoint import Checkpoint
from mnist_core.models.onnx_graph import FEATURES, INPUT, onnx_model
from mnist_core.system.progress import Progress
from mnist_core.system.threads import cores, map_in_threads

if TYPE_CHECKING:
    import onnx

LOGITS: Final = "logits"
CHUNK = 100  # images at once: more are no faster, and take more memory


def session(graph: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """A graph, ready to compute on one core."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # it would keep the memory of the largest batch
    options.log_severity_level = 3  # errors
    return onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])


class GivenWeights:
    """What computes the same network again and again, with other weights each time: only the first takes a while."""

    def __init__(self, make: Callable[..., onnx.ModelProto], checkpoint: Checkpoint, *more: Any) -> None:
        """`make` is `onnx_model` or `onnx_beginning`, and `more` what it takes after the standard deviations."""
        card, weights = checkpoint.card, checkpoint.weights
        shapes = tuple(sorted((name, values.shape) for name, values in weights.items()))
        self._session, names = _given(make, card.network, card.shape, shapes, tuple(card.mean), tuple(card.std), more)
        self._weights = {name: np.asarray(weights[name], np.float32) for name in names}

    def run(self, names: Sequence[str] | None, given: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        found: list[np.ndarray] = self._session.run(names, {**self._weights, **given})
        return found


@functools.lru_cache(8)
def _given(
    make: Callable[..., onnx.ModelProto],
    config: TrainConfig,
    shape: Shape,
    shapes: tuple[tuple[str, tuple[int, ...]], ...],
    mean: tuple[float, ...],
    std: tuple[float, ...],
    more: tuple[Any, ...],
) -> tuple[onnxruntime.InferenceSession, list[str]]:
    """The session for weights of these shapes, and which of them it asks for."""
    shaped = {name: np.broadcast_to(np.float32(0), each) for name, each in shapes}
    found = session(make(config, shape, shaped, mean, std, *more, weights_given=True))
    return found, [each.name for each in found.get_inputs() if each.name != INPUT]


class Network:
    """The network of a checkpoint, for inference on the CPU. Thread-safe: each call computes on one core.

    `learning` is for one of many checkpoints of a training, asked about a few images: it is there sooner.
    """

    def __init__(self, checkpoint: Checkpoint, learning: bool = False) -> None:
        card = checkpoint.card
        self._session: onnxruntime.InferenceSession | GivenWeights
        # the second output costs nothing measurable: it is there in the network, and laid out flat only when asked for
        if learning:
            self._session = GivenWeights(onnx_model, checkpoint, card.temperature, LOGITS, True)
            return
        calibrated = card.mean, card.std, card.temperature
        graph = onnx_model(card.network, card.shape, checkpoint.weights, *calibrated, LOGITS, with_features=True)
        self._session = session(graph)

    def logits(self, images: np.ndarray) -> np.ndarray:
        """(N, C, H, W) uint8, or float32 in [0, 255], in the network's own shape → (N, K) float32 logits.

        They are divided by the card's temperature.
        """
        (answer,) = self._outputs(images, LOGITS)
        return answer

    def infer(self, images: np.ndarray, progress: Progress | None = None) -> np.ndarray:
        """`logits` of any number of images, in parts and on all cores."""
        return self._in_parts(images, (LOGITS,), progress)[0]

    def infer_with_features(
        self, images: np.ndarray, progress: Progress | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """As `infer`, and (N, F) float32: what the last layer with weights is given, as explain/neighbours.py has it.

        A map of size 3×3, say, that a convolution is given counts as nine features a channel.
        """
        logits, features = self._in_parts(images, (LOGITS, FEATURES), progress)
        return logits, features

    def _outputs(self, images: np.ndarray, *names: str) -> list[np.ndarray]:
        found: list[np.ndarray] = self._session.run(names, {INPUT: np.divide(images, 255, dtype=np.float32)})
        return found

    def _in_parts(self, images: np.ndarray, names: tuple[str, ...], progress: Progress | None) -> list[np.ndarray]:
        starts = range(0, max(1, len(images)), CHUNK)

        def part(start: int) -> list[np.ndarray]:
            return self._outputs(images[start : start + CHUNK], *names)

        parts = map_in_threads(part, starts, cores(), progress, chunk=1)
        return [np.concatenate(chunks) for chunks in zip(*parts, strict=True)]
