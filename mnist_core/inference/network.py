"""A checkpoint's network in ONNX Runtime, which takes a fifteenth of torch's memory and starts at once."""

from __future__ import annotations

import numpy as np
import onnxruntime

from mnist_core.models.checkpoint import Checkpoint
from mnist_core.models.onnx_graph import INPUT, onnx_model
from mnist_core.system.progress import Progress
from mnist_core.system.threads import cores, map_in_threads

CHUNK = 100  # images at once: more are no faster, and take more memory


class Network:
    """The network of a checkpoint, for inference on the CPU. Thread-safe: each call computes on one core."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        card = checkpoint.card
        graph = onnx_model(
            card.network, card.shape, checkpoint.weights, card.mean, card.std, card.temperature, "logits"
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False  # it would keep the memory of the largest batch
        options.log_severity_level = 3  # errors
        self._session = onnxruntime.InferenceSession(
            graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def logits(self, images: np.ndarray) -> np.ndarray:
        """(N, C, H, W) uint8, or float32 in [0, 255], in the network's own shape → (N, K) float32 logits.

        They are divided by the card's temperature.
        """
        answer: np.ndarray = self._session.run(None, {INPUT: np.divide(images, 255, dtype=np.float32)})[0]
        return answer

    def infer(self, images: np.ndarray, progress: Progress | None = None) -> np.ndarray:
        """`logits` of any number of images, in parts and on all cores."""
        starts = range(0, max(1, len(images)), CHUNK)

        def part(start: int) -> np.ndarray:
            return self.logits(images[start : start + CHUNK])

        return np.concatenate(map_in_threads(part, starts, cores(), progress, chunk=1))
