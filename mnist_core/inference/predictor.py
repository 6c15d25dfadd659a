"""Predictor: a loaded checkpoint that reads drawings and rejects what does not look like a digit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image
from scipy.special import softmax

from mnist_core.data.dataset import DIGITS
from mnist_core.drawing.images import fit_image, flatten_alpha
from mnist_core.drawing.preparation import prepare
from mnist_core.drawing.preprocess import to_model_input
from mnist_core.inference.network import Network
from mnist_core.inference.rejection import certainty, shape_rejection
from mnist_core.models.checkpoint import Checkpoint, find_checkpoint, load_checkpoint

Rejection = Literal["blank", "several", "filled", "unsure"]


@dataclass(frozen=True, eq=False)
class Prediction:
    """A model's prediction for one drawing.

    `digit` is the index of the most probable class, `confidence` its probability in [0, 1], `probabilities` (K,)
    float32. `model_input` is the image given to the model, (H, W) or (H, W, 3) uint8. A blank drawing has neither
    digit nor input.
    `rejection` says why it may be no digit: "blank"; "several" digits side by side or a "filled" shape (both only for
    models of the ten digits); "unsure" where the certainty is below that of 99 in 100 real digits.
    """

    digit: int | None
    confidence: float
    probabilities: np.ndarray
    rejection: Rejection | None
    model_input: np.ndarray | None

    @property
    def is_digit(self) -> bool:
        """Whether the drawing is not rejected."""
        return self.rejection is None

    def record(self) -> dict[str, Any]:
        """As JSON holds it, on the command line and over HTTP: all but the model's input."""
        return {
            "digit": self.digit,
            "confidence": self.confidence,
            "probabilities": self.probabilities.tolist(),
            "is_digit": self.is_digit,
            "rejection": self.rejection,
        }


class Predictor:
    """A loaded checkpoint, given as such, by its folder or by its name. Thread-safe. Raises CheckpointError.

    `learning` says that there will be more of the same layers; see inference/network.py.
    """

    def __init__(self, checkpoint: Checkpoint | Path | str, learning: bool = False) -> None:
        if isinstance(checkpoint, str):
            checkpoint = find_checkpoint(checkpoint)
        self.checkpoint = checkpoint if isinstance(checkpoint, Checkpoint) else load_checkpoint(checkpoint)
        self.card = self.checkpoint.card
        self.network = Network(self.checkpoint, learning)

    def predict(self, pixels: np.ndarray) -> Prediction:
        """(H, W), (H, W, 3) or (H, W, 4) uint8 of a canvas or a camera → Prediction.

        The picture is prepared as the model's own training images were. Raises DrawingError for another shape.
        """
        return self.answer(self.prepare(pixels))

    def answer(self, image: np.ndarray | None) -> Prediction:
        """The model's input as `prepare` gives it, (H, W) or (H, W, 3) uint8 or None → Prediction."""
        if image is None:
            return Prediction(None, 0.0, np.zeros(len(self.card.classes), dtype=np.float32), "blank", None)
        channels_first = image[None] if image.ndim == 2 else image.transpose(2, 0, 1)
        probabilities = self.probabilities(channels_first[None])[0]
        digit = int(probabilities.argmax())
        confidence = float(probabilities[digit])
        rejection = self._rejection(image, float(self.certainty(probabilities)))
        return Prediction(digit, confidence, probabilities, rejection, image)

    def from_canvas(self, pixels: np.ndarray) -> np.ndarray:
        """(H, W), (H, W, 3) or (H, W, 4) uint8 of a drawing, light on dark → as this model is used to see it.

        A model that reads pictures as a whole, and learned from light ones, gets it dark on light.
        """
        if not self.card.light_ground:
            return pixels
        return 255 - (pixels if pixels.ndim == 2 else pixels[..., :3])

    def prepare(self, pixels: np.ndarray) -> np.ndarray | None:
        """(H, W), (H, W, 3) or (H, W, 4) uint8 → the model's input, (H, W) or (H, W, 3) uint8; None if it is blank.

        For a model whose preparation is not recorded, as in earlier versions: a grey one reads every picture as a
        drawing, a colour one as a whole.
        """
        shape = self.card.shape
        if self.card.preparation != "unrecorded":
            return prepare(pixels, self.card.preparation, shape.channels, shape.height, shape.width)
        if shape.channels == 1:
            image = to_model_input(pixels)
        else:
            image = np.array(flatten_alpha(Image.fromarray(np.ascontiguousarray(pixels))).convert("RGB"))
        if image is not None and image.shape[:2] != (shape.height, shape.width):
            image = fit_image(image, shape.height, shape.width)
        return image

    def certainty(self, probabilities: np.ndarray) -> np.ndarray:
        """(..., K) probabilities → (...) in [0, 1]: the measure that the card's threshold of rejection refers to."""
        return certainty(probabilities) if self.card.refuse_by == "certainty" else probabilities.max(axis=-1)

    def _rejection(self, image: np.ndarray, score: float) -> Rejection | None:
        """The shape is checked first: two digits side by side are rejected at any certainty."""
        # of a picture as a whole, the ground may be light: its shape says nothing
        as_drawing = self.card.preparation != "whole" and image.shape == (28, 28)
        one_digit = as_drawing and tuple(self.card.classes) == DIGITS
        shape = shape_rejection(image) if one_digit else None
        return shape or ("unsure" if score < self.card.refuse_below else None)

    def rejections(self, images: np.ndarray, probabilities: np.ndarray) -> list[Rejection | None]:
        """(N, C, H, W) uint8 model inputs and their (N, K) probabilities → the rejection of each, or None."""
        inputs = images[:, 0] if images.shape[1] == 1 else images
        scores = self.certainty(probabilities)
        return [self._rejection(image, score) for image, score in zip(inputs, scores, strict=True)]

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """(N, C, H, W) uint8 → (N, K) float32. Images are resized and grey ones repeated to the model's shape."""
        shape = self.card.shape
        if images.shape[2:] != (shape.height, shape.width):
            images = resized(images, shape.height, shape.width)
        if images.shape[1] != shape.channels:
            images = np.repeat(images, shape.channels, axis=1)
        found: np.ndarray = softmax(self.network.logits(images), axis=1)
        return found


def resized(images: np.ndarray, height: int, width: int) -> np.ndarray:
    """(N, C, H, W) uint8 → (N, C, height, width) float32 in [0, 255]: bilinear, with antialiasing."""
    flat = images.reshape(-1, *images.shape[2:]).astype(np.float32)
    size = (width, height)
    found = np.stack([np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BILINEAR)) for plane in flat])
    return found.reshape(*images.shape[:2], height, width)
