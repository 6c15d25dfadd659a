"""Predictor: a checkpoint and a drawing → the digit, its probabilities, and whether it looks like a digit at all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from mnist_core.data.dataset import DIGITS, to_unit
from mnist_core.drawing.images import fit_image, flatten_alpha
from mnist_core.drawing.preprocess import to_model_input
from mnist_core.inference.calibration import certainty
from mnist_core.inference.rejection import shape_rejection
from mnist_core.models.checkpoint import Checkpoint, find_checkpoint, load_checkpoint

Rejection = Literal["blank", "several", "filled", "unsure"]


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model says of one drawing.

    `digit` is the index of the most probable class, `confidence` its probability in [0, 1], `probabilities` (K,)
    float32. `model_input` is the picture that the model saw, (H, W) or (H, W, 3) uint8. A blank drawing has neither
    digit nor input.
    `rejection` says why it may be no digit: "blank", "several" digits side by side, "filled" like a blot (both seen in
    the shape, of models of the ten digits), "unsure" where the model is less sure than it is of 99 in 100 real digits.
    """

    digit: int | None
    confidence: float
    probabilities: np.ndarray
    rejection: Rejection | None
    model_input: np.ndarray | None

    @property
    def is_digit(self) -> bool:
        """Whether nothing speaks against one digit."""
        return self.rejection is None


class Predictor:
    """One loaded checkpoint, ready to answer. Safe to share between threads. Raises CheckpointError."""

    def __init__(self, checkpoint: Checkpoint | Path | str) -> None:
        if isinstance(checkpoint, str):
            checkpoint = find_checkpoint(checkpoint)
        self.checkpoint = checkpoint if isinstance(checkpoint, Checkpoint) else load_checkpoint(checkpoint)
        self.card = self.checkpoint.card

    def predict(self, pixels: np.ndarray) -> Prediction:
        """(H, W), (H, W, 3) or (H, W, 4) uint8, as a canvas or a camera gives it → Prediction.

        A grey model sees what is drawn as MNIST would have it; a model of colour sees all of the picture.
        """
        shape = self.card.shape
        if shape.channels == 1:
            seen = to_model_input(pixels)
        else:
            seen = np.array(flatten_alpha(Image.fromarray(np.ascontiguousarray(pixels))).convert("RGB"))
        if seen is None:
            return Prediction(None, 0.0, np.zeros(len(self.card.classes), dtype=np.float32), "blank", None)
        if seen.shape[:2] != (shape.height, shape.width):
            seen = fit_image(seen, shape.height, shape.width)
        channels_first = seen[None] if seen.ndim == 2 else seen.transpose(2, 0, 1)
        probabilities = self.probabilities(channels_first[None])[0]
        digit = int(probabilities.argmax())
        confidence = float(probabilities[digit])
        doubt = self._doubt(seen, float(self.certainty(probabilities)))
        return Prediction(digit, confidence, probabilities, doubt, seen)

    def certainty(self, probabilities: np.ndarray) -> np.ndarray:
        """(..., K) → (...) in [0, 1]: how sure the model is, by the measure of which its card has the threshold."""
        return certainty(probabilities) if self.card.refuse_by == "certainty" else probabilities.max(axis=-1)

    def _doubt(self, seen: np.ndarray, sure: float) -> Rejection | None:
        """The shape speaks first: two digits side by side are two digits, however sure the model is of one."""
        one_digit = tuple(self.card.classes) == DIGITS and seen.shape == (28, 28)
        shape = shape_rejection(seen) if one_digit else None
        return shape or ("unsure" if sure < self.card.refuse_below else None)

    def rejections(self, images: np.ndarray, probabilities: np.ndarray) -> list[Rejection | None]:
        """(N, C, H, W) uint8 as the model sees them, and its (N, K) answers → why each may be no digit, or None."""
        seen = images[:, 0] if images.shape[1] == 1 else images
        return [self._doubt(image, sure) for image, sure in zip(seen, self.certainty(probabilities), strict=True)]

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """(N, C, 28, 28) uint8 → (N, K) float32. Grey pictures are repeated, and resized, to what the model expects."""
        shape = self.card.shape
        batch = to_unit(torch.from_numpy(np.ascontiguousarray(images)))
        if batch.shape[2:] != (shape.height, shape.width):
            batch = F.interpolate(batch, size=(shape.height, shape.width), mode="bilinear", antialias=True)
        if batch.shape[1] != shape.channels:
            batch = batch.expand(-1, shape.channels, -1, -1)
        with torch.inference_mode():
            logits: Tensor = self.checkpoint.model(batch)
        return logits.softmax(dim=1).numpy()
