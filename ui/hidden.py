"""Controls that a link hides, as in `train?hide=optimizer,augmentation,compare`: for a class that is to see fewer.

What is hidden keeps its value, and is a convenience, no protection.
"""

from __future__ import annotations

from mnist_core.config import TrainConfig
from ui import address

PAGES = ("home", "train", "draw", "teach", "inside", "results", "compare", "replay", "data")
PARTS = ("menu", "name", "settings", "augmentation", "more", "ending", "layers", "earlier", "runs", "seeds", "finder")
"""The menu; the box for a name; all settings, or one group of them; the table of layers; the choice of earlier runs;
the list of runs; trainings with several seeds; the search for a learning rate and a batch size. Single settings go by
their names, recipe and dataset among them."""


def hidden(name: str) -> bool:
    """Whether the part, page or setting called `name` is not to be shown."""
    return name in asked()


def asked() -> set[str]:
    """The names that the address and the lesson hide."""
    return {name for name in address.along().get("hide", "").split(",") if name} | lesson_hides()


def lesson_hides() -> frozenset[str]:
    """What the lesson under way hides; nothing without one, or where it cannot be read."""
    from ui.lessons.lesson import LessonError, get_lesson

    name = address.along().get("lesson")
    try:
        return frozenset(get_lesson(name).hide) if name else frozenset()
    except LessonError:
        return frozenset()


def unknown() -> list[str]:
    """What the address would hide and there is not."""
    return sorted(asked() - {*PAGES, *PARTS, *TrainConfig.model_fields})
