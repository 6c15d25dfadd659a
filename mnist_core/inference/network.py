"""A checkpoint's network in ONNX Runtime, which takes a fifteenth of torch's memory and starts at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import onnxruntime

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


class Network:
    """The network of a checkpoint, for inference on the CPU. Thread-safe: each call computes on one core."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        card = checkpoint.card
        calibrated = card.mean, card.std, card.temperature
        # the second output costs nothing measurable: it is there in the network, and laid out flat only when asked for
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
