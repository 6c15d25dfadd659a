"""held_out(classes, labels, given) → which images judge a model: as given, or one fifth held out by a fixed rule."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from mnist_core.errors import DataError

MAX_CLASSES = 100


def natural(text: object) -> tuple[list[int | str], str]:
    """A key that sorts as people do: 2 before 10, capitals beside small letters."""
    pieces = re.split(r"(\d+)", str(text).casefold(), flags=re.ASCII)
    return [int(piece) if number % 2 else piece for number, piece in enumerate(pieces)], str(text)


def held_out(classes: Sequence[str], labels: np.ndarray, given: np.ndarray | None) -> np.ndarray:
    """(N,) int labels, (N,) bool `given` or None → (N,) bool, True for test images; what is there decides, not chance.

    Without `given` one fifth of each class is held out, with a fixed seed. Raises DataError when there are fewer than
    2 or more than 100 classes, or a class has too few images to be learned and judged.
    """
    if len(classes) < 2:
        found = f"only the class '{classes[0]}'" if classes else "no class"
        raise DataError(f"There is {found}: at least 2 classes are needed to tell apart.")
    if len(classes) > MAX_CLASSES:
        raise DataError(f"There are {len(classes):,} classes, over the limit of {MAX_CLASSES}.")
    if given is None:
        _require(classes, labels, 5, "", "one fifth of each class is held out as test images")
        return _one_fifth(labels)
    # two, so that one can be held out to watch the training by
    _require(classes, labels[~given], 2, "training ", "one is to learn from, one to watch the training by")
    _require(classes, labels[given], 1, "test ", "each class is judged on its test images")
    return given


def _require(classes: Sequence[str], labels: np.ndarray, least: int, part: str, why: str) -> None:
    counts = np.bincount(labels, minlength=len(classes)).tolist()
    for name, count in zip(classes, counts, strict=True):
        if count < least:
            raise DataError(
                f"The class '{name}' has {count or 'no'} {part}image{'s' * (count != 1)}, "
                f"and at least {least} {'is' if least == 1 else 'are'} needed: {why}."
            )


def _one_fifth(labels: np.ndarray) -> np.ndarray:
    from sklearn.model_selection import train_test_split

    _, rows = train_test_split(np.arange(len(labels)), test_size=0.2, stratify=labels, random_state=0)
    return np.isin(np.arange(len(labels)), rows)
