"""What a lesson consists of, and how its file is read and checked."""

from __future__ import annotations

import functools
import string
import tomllib
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mnist_core.config import TrainConfig
from mnist_core.errors import LabError
from mnist_core.recipes import get_recipe

FOLDER = Path(__file__).parent
PAGES = ("home", "train", "draw", "teach", "inside", "results", "replay", "data")
Measure = Literal["train_accuracy", "val_accuracy", "gap", "train_loss", "val_loss"]


class LessonError(LabError):
    """There is no such lesson, or its file is damaged."""


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Training(_Data):
    """A training that belongs to a lesson: what it is called, and its settings, which differ from the recipe's."""

    title: str
    recipe: str
    dataset: str = "digits"  # comes with the lab, and is learned in seconds
    settings: dict[str, Any] = {}

    @property
    def config(self) -> TrainConfig:
        """Raises ConfigError."""
        return get_recipe(self.recipe).config(self.dataset).replace(**self.settings)

    @property
    def address(self) -> dict[str, str]:
        """The parameters with which the Train page begins with these settings."""
        settings = {name: str(value) for name, value in self.settings.items()}
        return {"recipe": self.recipe, "dataset": self.dataset, **settings}


class Guess(_Data):
    """A question that is asked before its answer can be seen.

    With `measure` the answer is measured. Of two `runs`: which of them has the larger value, where less than
    `tolerance` is alike, so the options are the first, alike, the second. Of one: between which of the `bounds` its
    value lies, so there is one option more than bounds. With `answer` it is known: the place of an option. With
    neither, people say themselves what they saw, in the step with `counted`.
    """

    question: str
    options: list[str] = Field(min_length=2)
    measure: Measure | None = None
    runs: list[str] = []
    tolerance: float = 0.0
    bounds: list[float] = []
    answer: int | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.answer is not None and not 0 <= self.answer < len(self.options):
            raise ValueError("the answer is none of the options")
        if self.measure is not None and len(self.runs) == 2 and len(self.options) != 3:
            raise ValueError("two runs have three options: the first, alike, the second")
        if self.measure is not None and len(self.runs) == 1 and len(self.options) != len(self.bounds) + 1:
            raise ValueError("there is one option more than bounds")
        if (self.measure is not None) != (len(self.runs) in (1, 2)):
            raise ValueError("what is measured needs one or two runs")
        return self

    def outcome(self, values: list[float]) -> int:
        """The place of the option that is right, for the measured value of each run."""
        if len(values) == 1:
            return sum(values[0] >= bound for bound in self.bounds)
        first, second = values
        return 1 if abs(first - second) < self.tolerance else 0 if first > second else 2


class Step(_Data):
    """One step: a text, and at most one thing to do.

    `page` is where it takes place (default: anywhere), opened with `address`, where `{NAME.id}` is the id of that
    training's run. `run` is a training to make. `reveal` is the number (from 1) of the step whose guess is now held
    against what happened. A text may name measured values: `{NAME.val_loss:.2f}`; see progress.py.
    """

    title: str
    text: str
    page: str | None = None
    address: dict[str, str] = {}
    run: str | None = None
    guess: Guess | None = None
    reveal: int | None = None
    counted: bool = False


class Lesson(_Data):
    """A lesson; `name` is its file's."""

    name: str
    title: str
    about: str
    minutes: int = Field(ge=1, le=60)
    order: int
    hide: list[str] = []
    runs: dict[str, Training] = {}
    steps: list[Step] = Field(min_length=2)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for number, step in enumerate(self.steps, 1):
            if step.page is not None and step.page not in PAGES:
                raise ValueError(f"step {number} is on no page")
            named = [step.run] if step.run else []
            named += step.guess.runs if step.guess else []
            named += [field.partition(".")[0] for field in _fields(step)]
            if unknown := sorted(set(named) - set(self.runs)):
                raise ValueError(f"step {number} names trainings that there are not: {', '.join(unknown)}")
            if step.reveal is not None and not (0 < step.reveal < number and self.steps[step.reveal - 1].guess):
                raise ValueError(f"step {number} reveals no guess before it")
        for training in self.runs.values():
            _ = training.config  # whose error says what is wrong
        return self


def _fields(step: Step) -> list[str]:
    texts = (step.text, *step.address.values())
    return [field for text in texts for _, field, _, _ in string.Formatter().parse(text) if field]


@functools.cache
def lessons() -> dict[str, Lesson]:
    """All lessons by name, in their order. Raises LessonError for a damaged file."""
    found = [read(path) for path in FOLDER.glob("*.toml")]
    return {lesson.name: lesson for lesson in sorted(found, key=lambda lesson: lesson.order)}


def read(path: Path) -> Lesson:
    """The lesson in a file. Raises LessonError."""
    try:
        with path.open("rb") as file:
            return Lesson(name=path.stem, **tomllib.load(file))
    except (OSError, tomllib.TOMLDecodeError, ValidationError, LabError) as error:
        raise LessonError(f"The lesson {path.name} cannot be used: {error}") from error


def get_lesson(name: str) -> Lesson:
    """Raises LessonError, which names the lessons that there are."""
    if name not in lessons():
        raise LessonError(f"There is no lesson '{name[:50]}'; there are: {', '.join(lessons())}.")
    return lessons()[name]
