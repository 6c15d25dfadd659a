"""What a person should know of a model that is shipped: how it was made, how well it does, and where it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mnist_core.errors import CheckpointError
from mnist_core.system.files import read_json

Line = Annotated[str, Field(max_length=1000)]
Share = Annotated[float, Field(ge=0, le=1)]
_MAX_BYTES = 1_000_000


class Figure(BaseModel):
    """A figure over several trainings: its mean, sample standard deviation, and how many trainings (seeds)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: float = Field(allow_inf_nan=False)
    std: float | None = Field(None, ge=0, allow_inf_nan=False)  # None: one training has no spread
    seeds: int = Field(ge=1)


class About(BaseModel):
    """How the weights came about. What is not known is left empty."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: list[Line] = Field(default_factory=list, max_length=50)  # sources of the images, with their authors
    seeds: list[int] = Field(default_factory=list, max_length=100)
    command: Line = ""
    machine: Line = ""  # on which `train_seconds` of the card were spent
    figures: dict[str, Figure] = Field(default_factory=dict, max_length=50)
    limits: list[Line] = Field(default_factory=list, max_length=50)


class Measured(BaseModel):
    """What `benchmarks/models.py` measured of exactly these weights, after training. Shares in [0, 1]."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    test_accuracy: Share  # on MNIST's test images
    # on digits drawn with a pen by writers not trained on: mean and lowest over every pen at every size (GRID)
    drawn_accuracy: Share | None = None
    drawn_lowest: Share | None = None
    calibration_error: Share  # on MNIST's test images, see calibration.py
    refused: Share  # of MNIST's test images, that were called "not a digit"
    milliseconds: float = Field(ge=0, allow_inf_nan=False)  # from a canvas to the answer, median
    machine: Line = ""  # that took those milliseconds
    command: Line = ""


def read_about(path: Path) -> About:
    """About, from a JSON file. Raises CheckpointError, saying what is wrong in it."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise CheckpointError(f"{path} is too large to describe a model.")
        content: Any = read_json(path)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror or error}).") from None
    except (ValueError, RecursionError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path} is no JSON.") from None
    try:
        return About.model_validate(content)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"]) or "the file"
        raise CheckpointError(
            f"{path} does not describe a model: {where}: {problem['msg']}. Its fields: {', '.join(About.model_fields)}."
        ) from None
