"""Counterfactuals: the smallest edit of an image that flips a model's answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mnist_core.explain.activations import as_batch
from mnist_core.explain.saliency import class_scores
from mnist_core.models.classifier import Classifier

METHOD = "greedy saliency-map attack"
MOST_PIXELS = 60
SHORTLIST = 48  # pixels of the largest estimated effect that are tried in each round


@dataclass(frozen=True, eq=False)
class Edit:
    """An edit of `pixels` pixels after which the model's answer is `after` in place of `before`.

    `image` (C, H, W) uint8 is the edited input, `changed` (H, W) bool where it was edited, `confidence` the
    probability of the new answer, computed from `image` anew.
    """

    image: np.ndarray
    changed: np.ndarray
    before: int
    after: int
    confidence: float

    @property
    def pixels(self) -> int:
        return int(self.changed.sum())


def smallest_edit(model: Classifier, image: np.ndarray, target: int | None = None) -> Edit | None:
    """The fewest pixels found, set to black or white, that make `target` (or any other class) the answer.

    None where MOST_PIXELS do not suffice, or `target` is the answer already. Of each pixel and value the gradient
    estimates the effect, as in the saliency-map attack (JSMA: N. Papernot et al., The Limitations of Deep Learning in
    Adversarial Settings, 2015, arXiv:1511.07528); the best of a shortlist is found by asking the network itself. At
    the end each pixel is set back where the answer stays flipped without it. It is small, not proved to be the
    smallest. (H, W), (H, W, 3) or (C, H, W) uint8.
    """
    start = as_batch(image)
    score = class_scores(model.eval())
    with torch.inference_mode():
        before = int(score(start).argmax())
    if target == before:
        return None
    edited, changed = start.clone(), torch.zeros(start.shape[2:], dtype=torch.bool)
    while not _flipped(score(edited).detach(), before, target)[0]:
        if int(changed.sum()) >= MOST_PIXELS:
            return None
        edited, changed = _one_more(score, edited, changed, before, target)
    edited, changed = _without_needless(score, start, edited, changed, before, target)
    pixels = (edited[0] * 255).round().to(torch.uint8).numpy()
    with torch.inference_mode():
        probabilities = score(as_batch(pixels))[0].softmax(dim=0)
    after = int(probabilities.argmax())
    return Edit(pixels, changed.numpy(), before, after, float(probabilities[after]))


def _margin(scores: Tensor, before: int, target: int | None) -> Tensor:
    """(N, K) → (N,): how far the wanted class is ahead of the best other one; without a target, any but `before`."""
    if target is None:
        others = scores.clone()
        others[:, before] = -torch.inf
        return others.amax(dim=1) - scores[:, before]
    others = scores.clone()
    others[:, target] = -torch.inf
    return scores[:, target] - others.amax(dim=1)


def _flipped(scores: Tensor, before: int, target: int | None) -> Tensor:
    return _margin(scores, before, target) > 0


def _one_more(
    score: torch.nn.Module, edited: Tensor, changed: Tensor, before: int, target: int | None
) -> tuple[Tensor, Tensor]:
    """The image with one more pixel set to black or white: the one that helps the wanted class most."""
    given = edited.clone().requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(_margin(score(given), before, target).sum(), given)
    extremes = (gradient[0] > 0).float()  # of each channel, the end of its range that helps
    effect = (gradient[0] * (extremes - edited[0])).sum(dim=0)
    effect[changed] = -torch.inf
    best = effect.flatten().topk(min(SHORTLIST, int((~changed).sum()))).indices
    rows, columns = best // changed.shape[1], best % changed.shape[1]
    trials = edited.repeat(len(best), 1, 1, 1)
    number = torch.arange(len(best))
    trials[number, :, rows, columns] = extremes[:, rows, columns].T
    with torch.inference_mode():
        chosen = int(_margin(score(trials), before, target).argmax())
    changed = changed.clone()
    changed[rows[chosen], columns[chosen]] = True
    return trials[chosen : chosen + 1], changed


def _without_needless(
    score: torch.nn.Module, start: Tensor, edited: Tensor, changed: Tensor, before: int, target: int | None
) -> tuple[Tensor, Tensor]:
    """The edit without the pixels that the flip does not need, the earliest tried first."""
    for row, column in changed.nonzero().tolist():
        trial = edited.clone()
        trial[:, :, row, column] = start[:, :, row, column]
        with torch.inference_mode():
            needless = bool(_flipped(score(trial), before, target)[0])
        if needless:
            edited, changed = trial, changed.clone()
            changed[row, column] = False
    return edited, changed
