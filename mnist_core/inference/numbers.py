"""Numbers: a picture of several digits is cut into parts, and the model says which cuts give digits.

The cheapest way through all cuts is the number: each digit costs what the model doubts of it, and a cut the ink that it
goes through (Bengio et al., 1995, and Casey and Lecolinet, 1996, call it recognition-based segmentation).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mnist_core.data.dataset import DIGITS
from mnist_core.drawing.images import fit_image
from mnist_core.drawing.preparation import is_prepared
from mnist_core.drawing.preprocess import Ink, digit_image, find_ink
from mnist_core.drawing.segments import INK, Cuts, find_cuts, line_height
from mnist_core.inference.predictor import Prediction, Predictor
from mnist_core.inference.rejection import certainty, shape_rejection

Box = tuple[int, int, int, int]  # x, y, width, height in px of the picture
WIDE = 0.95  # of the height: wider ink may be two digits that touch
NARROW = 0.5  # of the height: ink in one piece that is no wider is one digit
LEAST_CERTAIN = 0.5  # of the certainty that a digit alone must have: in a number its neighbours speak for it, too
LONGEST = 40  # digits
# costs; chosen on numbers of every second writer of the training file (`python -m benchmarks.numbers` measures on all)
DOUBT = 3.0  # times the logarithm of the certainty of a part
EACH = 0.4  # a digit, so that none is cut without need
CUT = 0.25  # a cut through as much ink as a stroke is wide
SHAPE = 1.0  # a part whose shape is no digit's
GAP, GAP_COST = 0.2, 12.0  # of the height: an empty gap within a digit, and what it costs for each height beyond that
LOW, LOW_COST = 0.45, 6.0  # the same of the height that a digit has at least
BROAD, BROAD_COST = 0.7, 2.0  # the same of a digit's width
SURE = 0.85  # parts that are read with this certainty, and no wider than WIDE, are not cut further
SPLIT = 0.75  # of the height: a wider part is cut to see whether it is two


@dataclass(frozen=True)
class Digit:
    """A digit of a number: the index of its class, its probability, its place on the picture; whether it is certain."""

    digit: int
    confidence: float
    box: Box
    certain: bool


@dataclass(frozen=True, eq=False)
class Reading:
    """A picture read as one digit (`prediction`) and as a number: its digits from left to right.

    `size` is the (width, height) in px of the picture that the digits' boxes lie on.
    """

    prediction: Prediction
    digits: tuple[Digit, ...]
    size: tuple[int, int]

    @property
    def number(self) -> str | None:
        """The number, also of one digit; None where a part of it is no digit or the model has other classes."""
        if not self.digits or not all(digit.certain for digit in self.digits):
            return None
        return "".join(DIGITS[digit.digit] for digit in self.digits)

    def record(self) -> dict[str, Any]:
        """As JSON holds it, on the command line and over HTTP: the prediction's record, the number and its digits."""
        digits = [{"digit": d.digit, "confidence": d.confidence, "box": list(d.box)} for d in self.digits]
        return {**self.prediction.record(), "number": self.number, "digits": digits, "size": list(self.size)}


def reads_numbers(predictor: Predictor) -> bool:
    """Whether a model's classes are the ten digits and it reads drawings: others read a picture as one of theirs."""
    card = predictor.card
    return tuple(card.classes) == DIGITS and card.shape.channels == 1 and card.preparation != "whole"


def read_number(predictor: Predictor, pixels: np.ndarray, one_expected: bool = False) -> Reading:
    """(H, W), (H, W, 3) or (H, W, 4) uint8 of a canvas or a camera → Reading. Raises DrawingError for another shape.

    A model of other classes than the ten digits gives the prediction alone. With `one_expected` a number is looked for
    only where things stand side by side: a scribble is then no number, and its answer comes 0.1 s sooner.
    """
    size = (int(pixels.shape[1]), int(pixels.shape[0])) if pixels.ndim > 1 else (0, 0)
    if not reads_numbers(predictor):
        return Reading(predictor.predict(pixels), (), size)
    found = find_ink(pixels)
    if found is None:
        return Reading(predictor.answer(None), (), size)
    ready = predictor.card.preparation == "drawing" and is_prepared(np.asarray(pixels))
    prediction = predictor.answer(_fitted(predictor, np.asarray(pixels) if ready else digit_image(found.pixels)))
    whole = _extent(found.pixels)
    alone = ready or (one_expected and prediction.rejection != "several")
    digits = () if alone or not _may_be_several(found.pixels, whole, prediction) else _several(predictor, found)
    if len(digits) > 1:
        return Reading(_as_several(prediction), digits, size)
    if prediction.is_digit and prediction.digit is not None:
        one = Digit(prediction.digit, prediction.confidence, found.box(*whole), True)
        return Reading(prediction, (one,), size)
    return Reading(prediction, (), size)


def _as_several(prediction: Prediction) -> Prediction:
    """What is read as several digits is not one digit, however sure the model is of one."""
    return Prediction(
        prediction.digit, prediction.confidence, prediction.probabilities, "several", prediction.model_input
    )


def _fitted(predictor: Predictor, image: np.ndarray) -> np.ndarray:
    shape = predictor.card.shape
    return image if image.shape == (shape.height, shape.width) else fit_image(image, shape.height, shape.width)


def _extent(ink: np.ndarray) -> tuple[slice, slice]:
    rows, columns = np.nonzero(ink > INK)
    return slice(int(rows.min()), int(rows.max()) + 1), slice(int(columns.min()), int(columns.max()) + 1)


def _may_be_several(ink: np.ndarray, extent: tuple[slice, slice], prediction: Prediction) -> bool:
    height, width = (side.stop - side.start for side in extent)
    if prediction.is_digit:
        return bool(width > WIDE * height)
    return bool(width > NARROW * height) and prediction.rejection != "filled"


def _several(predictor: Predictor, found: Ink) -> tuple[Digit, ...]:
    """The digits of ink that may be several, from left to right."""
    rows, columns = _extent(found.pixels)
    ink = found.pixels[rows, columns]
    if ink.shape[1] > LONGEST * line_height(ink):
        return ()
    parts = _best(predictor, find_cuts(ink, through=False))
    if not parts or any(part.doubtful for part in parts):
        parts = _best(predictor, find_cuts(ink, through=True))
    least = LEAST_CERTAIN * predictor.card.refuse_below
    digits = []
    for part in parts:
        down, across = _extent(part.ink)
        at = (
            slice(rows.start + down.start, rows.start + down.stop),
            slice(columns.start + across.start, columns.start + across.stop),
        )
        certain = part.shape_is_digit and float(predictor.certainty(part.probabilities)) >= least
        digit = int(part.probabilities.argmax())
        digits.append(Digit(digit, float(part.probabilities[digit]), found.box(*at), certain))
    return tuple(digits)


@dataclass(eq=False)
class _Part:
    ink: np.ndarray
    probabilities: np.ndarray
    shape_is_digit: bool
    doubtful: bool
    cost: float


def _best(predictor: Predictor, cuts: Cuts) -> list[_Part]:
    """The parts on the cheapest way from the first cut to the last."""
    count = len(cuts.seams)
    inks, places = [], []
    for start in range(count - 1):
        for stop in range(start + 1, count):
            part = cuts.part(start, stop)
            if part is not None:
                inks.append(part)
                places.append((start, stop))
    if not inks:
        return []
    images = np.stack([digit_image(ink[_extent(ink)]) for ink in inks])
    fitted = np.stack([_fitted(predictor, image) for image in images])
    probabilities = predictor.probabilities(fitted[:, None])
    stroke = _stroke(cuts.ink)
    ways: list[tuple[float, list[_Part]]] = [(0.0, []), *[(np.inf, [])] * (count - 1)]
    for place in sorted(range(len(inks)), key=lambda n: places[n][1]):
        start, stop = places[place]
        judged = _judged(inks[place], images[place], probabilities[place], cuts.tall)
        cost = ways[start][0] + judged.cost + CUT * cuts.inked[start] / stroke
        if cost < ways[stop][0]:
            ways[stop] = (float(cost), [*ways[start][1], judged])
    # specks at an end are no part
    return ways[-1][1]


def _stroke(ink: np.ndarray) -> float:
    """A stroke's width in px: that of a ribbon with the ink's area and half of its outline's length."""
    mask = np.pad(ink > INK, 1)
    edges = (mask[1:] != mask[:-1]).sum() + (mask[:, 1:] != mask[:, :-1]).sum()
    return max(1.0, float(2 * mask.sum() / (0.785 * edges)))  # steps along a slanted edge are longer than it is


def _judged(ink: np.ndarray, image: np.ndarray, probabilities: np.ndarray, tall: float) -> _Part:
    down, across = _extent(ink)
    height, width = down.stop - down.start, across.stop - across.start
    sure = max(float(certainty(probabilities)), 1e-3)
    empty = np.flatnonzero((ink[:, across] > INK).any(0))
    gap = float(np.diff(empty).max(initial=1) - 1) / tall
    is_digit = shape_rejection(image) is None
    cost = EACH - DOUBT * float(np.log(sure)) + SHAPE * (not is_digit)
    cost += GAP_COST * max(0.0, gap - GAP) + LOW_COST * max(0.0, LOW - height / tall) / LOW
    cost += BROAD_COST * max(0.0, width / tall - BROAD)
    doubtful = not is_digit or sure < SURE or width > SPLIT * tall
    return _Part(ink, probabilities, is_digit, doubtful, cost)
