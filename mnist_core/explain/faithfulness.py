"""Faithfulness: whether the pixels that a saliency map marks matter to the model more than others do.

Deletion curves (V. Petsiuk, A. Das, K. Saenko, RISE, 2018, arXiv:1806.07421): the share of ink with the highest
saliency is blanked, and the probability of the model's answer before and after is compared with that after blanking as
much ink at random. `faithfulness.json` has the result for each shipped model, measured by `benchmarks/faithfulness.py`.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mnist_core.explain.saliency import METHODS, Method, attribute, class_scores, ground
from mnist_core.models.classifier import Classifier, to_unit
from mnist_core.system.files import read_json
from mnist_core.system.progress import Progress

RECORD = Path(__file__).with_name("faithfulness.json")
SHARES = (0.05, 0.1, 0.2, 0.3, 0.5)  # of the ink
JUDGED = 1  # the place in SHARES that decides: a tenth of the ink
DRAWS = 10  # of random ink for each image
INK = 0.2  # ink differs from the ground by more than this, of pixels in [0, 1]
BATCH = 50  # images whose maps are computed at once


@dataclass(frozen=True, eq=False)
class Deletion:
    """Probabilities of the answer after blanking each of SHARES of the ink: (N, S), salient ink or random ink."""

    before: np.ndarray
    salient: np.ndarray
    random: np.ndarray

    @property
    def advantage(self) -> tuple[float, float, float]:
        """How much more blanking a tenth of the ink lowers the probability where it is salient: mean, 95 % interval.

        The interval is 1.96 standard errors of the mean over images. Positive: the map marks what matters.
        """
        gains = self.random[:, JUDGED] - self.salient[:, JUDGED]
        half = 1.96 * gains.std(ddof=1) / len(gains) ** 0.5
        return float(gains.mean()), float(gains.mean() - half), float(gains.mean() + half)


def deletion(
    model: Classifier,
    images: np.ndarray,
    method: Method,
    layer_name: str | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Deletion:
    """(N, C, H, W) uint8, each with some ink → Deletion of a method's maps for the model's own answers."""
    score, random = class_scores(model), np.random.default_rng(seed)
    before, salient, scattered = [], [], []
    for chunk in np.split(images, range(BATCH, len(images), BATCH)):
        batch = to_unit(chunk)
        with torch.inference_mode():
            probabilities = score(batch).softmax(dim=1)
        answers = probabilities.argmax(dim=1)
        maps = attribute(model, batch, answers, method, layer_name).numpy()
        for image, answer, saliency in zip(batch, answers.tolist(), maps, strict=True):
            blank = ground(model, image[None])[0]
            ink = np.flatnonzero(((image - blank).abs().amax(dim=0) > INK).numpy())
            # ties, as where Grad-CAM is 0, are broken at random
            order = ink[np.lexsort((random.random(len(ink)), -saliency.flat[ink]))]
            orders = [order, *(random.permutation(ink) for _ in range(DRAWS))]
            found = _after(score, image, blank, orders, answer)
            salient.append(found[0])
            scattered.append(found[1:].mean(axis=0))
        before += probabilities.amax(dim=1).tolist()
        if progress:
            progress(len(before) / len(images))
    return Deletion(np.array(before), np.array(salient), np.array(scattered))


def _after(score: torch.nn.Module, image: Tensor, blank: Tensor, orders: list[np.ndarray], answer: int) -> np.ndarray:
    """(O, S): the probability of `answer` after blanking SHARES of the ink, in each of O orders."""
    trials = image.repeat(len(orders) * len(SHARES), 1, 1, 1)
    flat, empty = trials.flatten(2), blank.flatten(1)
    for number, order in enumerate(orders):
        for place, share in enumerate(SHARES):
            gone = torch.from_numpy(order[: max(1, round(share * len(order)))])
            flat[number * len(SHARES) + place][:, gone] = empty[:, gone]
    with torch.inference_mode():
        probabilities = score(flat.view_as(trials)).softmax(dim=1)[:, answer]
    found: np.ndarray = probabilities.view(len(orders), len(SHARES)).numpy()
    return found


@functools.cache
def record() -> list[dict[str, Any]]:
    """The rows of `faithfulness.json`: `model`, `weights_sha256`, `method`, `images`, `mean`, `low`, `high`."""
    rows: list[dict[str, Any]] = read_json(RECORD) if RECORD.is_file() else []
    return rows


def shown_methods(weights_sha256: str) -> tuple[Method, ...]:
    """The methods to offer for a model: all but those that the record says failed for its weights."""
    failed = {row["method"] for row in record() if row["weights_sha256"] == weights_sha256 and row["low"] <= 0}
    return tuple(method for method in METHODS if method not in failed)


def is_measured(weights_sha256: str) -> bool:
    """Whether the record has these weights."""
    return any(row["weights_sha256"] == weights_sha256 for row in record())
