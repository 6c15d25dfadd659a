"""Adversarial images: changes too small to matter to a person that make a model answer something else.

Two attacks with the model's own gradient, which raise the loss of its answer while no pixel moves by more than a given
strength (the L∞ norm): one step of the gradient's sign (FGSM: I. Goodfellow et al., Explaining and Harnessing
Adversarial Examples, 2015, arXiv:1412.6572), and many small ones, each followed by a projection (PGD: A. Madry et al.,
Towards Deep Learning Models Resistant to Adversarial Attacks, 2018, arXiv:1706.06083).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mnist_core.errors import ConfigError
from mnist_core.explain.activations import Activation, as_batch
from mnist_core.models.classifier import Classifier
from mnist_core.system.progress import Progress

Method = Literal["fgsm", "pgd"]
METHODS: tuple[Method, ...] = get_args(Method)
STEPS = 20  # of PGD
STEP_SHARE = 2.5 / STEPS  # of the strength: all steps together may cross the box twice, as Madry et al. have it
MOST = 128  # grey levels of 255: at half of the range a picture is another one
COARSE = (2, 4, 8, 16, 32, 64, MOST)
TRIALS = 7  # strengths tried at once between two
ROUNDS = 4  # of trials: COARSE, two that narrow 64 levels down to one, and the last one alone


@dataclass(frozen=True, eq=False)
class Attack:
    """An image attacked at each of the `strengths` (S,), in grey levels of 255; the first is 0, the image itself.

    `images` (S, C, H, W) uint8, of which none differs from the first by more than its strength, and `probabilities`
    (S, K) float32 the model's answers to exactly these.
    """

    method: Method
    strengths: tuple[int, ...]
    images: np.ndarray
    probabilities: np.ndarray

    @property
    def answers(self) -> np.ndarray:
        """(S,) int: the class read at each strength."""
        best: np.ndarray = self.probabilities.argmax(axis=1)
        return best

    def change(self, place: int) -> np.ndarray:
        """(C, H, W) int: what was added to the image at that strength."""
        added: np.ndarray = self.images[place].astype(int) - self.images[0]
        return added


def attack(model: Classifier, image: np.ndarray, method: Method, strengths: Sequence[int], seed: int = 0) -> Attack:
    """A model's input, (H, W), (H, W, 3) or (C, H, W) uint8, attacked away from the model's answer to it.

    The image itself, at strength 0, comes before those of the `strengths`. PGD starts at random within the strength, by
    `seed`. Raises ConfigError for an unknown method.
    """
    if method not in METHODS:
        raise ConfigError(f"There is no attack '{str(method)[:60]}'; there are: {', '.join(METHODS)}.")
    model.eval()
    start = as_batch(image)
    with torch.no_grad():
        label = model(start).argmax(dim=1)
    tried = (0, *strengths)
    limits = torch.tensor(tried, dtype=torch.float32).view(-1, 1, 1, 1) / 255
    found = _fgsm(model, start, label, limits) if method == "fgsm" else _pgd(model, start, label, limits, seed)
    # a picture has whole grey levels; the original and the strength are whole, so that rounding stays within both
    levels = (found * 255).round().to(torch.uint8)
    with torch.inference_mode():
        probabilities = model(levels.float() / 255).softmax(dim=1)
    return Attack(method, tried, levels.numpy(), probabilities.numpy())


def smallest_strength(
    model: Classifier, image: np.ndarray, method: Method, progress: Progress | None = None, seed: int = 0
) -> int | None:
    """The smallest strength found, in grey levels of 255, at which `attack` changes the answer; None up to MOST.

    Doubled until the answer is another, then narrowed down to one level. It is small, not proved to be the smallest: a
    stronger attack may find less, and a smaller strength that was passed over may do as well.
    """
    tries, low, high = COARSE, 0, 0
    for rounds in range(1, ROUNDS):
        first = _first_flip(attack(model, image, method, tries, seed))
        if progress is not None:
            progress(rounds / ROUNDS)
        if first is None and not high:
            return None
        if first is None:
            low = tries[-1]
        else:
            low, high = (tries[first - 1] if first else low), tries[first]
        if high - low == 1:
            break
        tries = tuple(np.unique(np.linspace(low, high, TRIALS + 2).round().astype(int))[1:-1].tolist())
    # alone, as it will be asked for: beside others a convolution adds in another order, and a sign may be another
    for strength in range(high, MOST + 1):
        if _first_flip(attack(model, image, method, (strength,), seed)) is not None:
            return strength
    return None


def _first_flip(found: Attack) -> int | None:
    """The place of the first strength, of those asked for, at which the answer is another; None without any."""
    flipped = np.flatnonzero(found.answers[1:] != found.answers[0])
    return int(flipped[0]) if len(flipped) else None


def _gradient(model: Classifier, images: Tensor, label: Tensor) -> Tensor:
    """(N, C, H, W) in [0, 1] → the gradient of each image's cross-entropy with the class `label` (1,)."""
    given = images.detach().clone().requires_grad_()
    with torch.enable_grad():
        loss = F.cross_entropy(model(given), label.expand(len(given)), reduction="sum")
        (gradient,) = torch.autograd.grad(loss, given)
    return gradient


def _fgsm(model: Classifier, start: Tensor, label: Tensor, strengths: Tensor) -> Tensor:
    return (start + strengths * _gradient(model, start, label).sign()).clamp(0, 1)


def _pgd(model: Classifier, start: Tensor, label: Tensor, strengths: Tensor, seed: int) -> Tensor:
    unit = np.random.default_rng(seed).uniform(-1, 1, tuple(start.shape)).astype(np.float32)
    low, high = (start - strengths).clamp(0, 1), (start + strengths).clamp(0, 1)
    found = (start + strengths * torch.from_numpy(unit)).clamp(low, high)
    for _ in range(STEPS):
        found = found + STEP_SHARE * strengths * _gradient(model, found, label).sign()
        found = torch.minimum(torch.maximum(found, low), high)
    return found


def layer_changes(before: Sequence[Activation], after: Sequence[Activation]) -> dict[str, float]:
    """The answers of the same layers to two images → layer's name → ‖after − before‖₂ / ‖before‖₂, its relative change.

    A layer that answered nothing before has a change of 0 where it still does, else infinity.
    """
    changes = {}
    for one, other in zip(before, after, strict=True):
        size, moved = float(np.linalg.norm(one.output)), float(np.linalg.norm(other.output - one.output))
        changes[one.name] = moved / size if size else float("inf") if moved else 0.0
    return changes
