"""The card of a checkpoint: what its weights are, how they were trained, how good they are and where they fail."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from mnist_core.config import Shape, TrainConfig
from mnist_core.errors import CheckpointError
from mnist_core.system.files import read_json

Text = Annotated[str, Field(max_length=1000)]
Share = Annotated[float, Field(ge=0, le=1)]
_MAX_BYTES = 1_000_000


class Figure(BaseModel):
    """A figure over several trainings: its mean, sample standard deviation, and how many trainings (seeds)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: float = Field(allow_inf_nan=False)
    std: float | None = Field(None, ge=0, allow_inf_nan=False)  # None: one training has no spread
    seeds: int = Field(ge=1)


class About(BaseModel):
    """How the weights were made. Unknown fields are empty."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: list[Text] = Field(default_factory=list, max_length=50)  # sources of the images, with their authors
    seeds: list[int] = Field(default_factory=list, max_length=100)
    command: Text = ""
    machine: Text = ""  # where `train_seconds` of the card were measured
    figures: dict[str, Figure] = Field(default_factory=dict, max_length=50)
    limits: list[Text] = Field(default_factory=list, max_length=50)


class Measured(BaseModel):
    """Measurements of exactly these weights by `benchmarks/models.py`, after training. Shares are in [0, 1]."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    test_accuracy: Share  # on MNIST's test images
    # on digits drawn with a pen by writers not trained on: mean and lowest over every pen at every size (GRID)
    drawn_accuracy: Share | None = None
    drawn_lowest: Share | None = None
    drawn_images: int | None = Field(default=None, ge=1)  # digits, each of them drawn once in every way
    calibration_error: Share  # expected calibration error on MNIST's test images, see inference/calibration.py
    refused: Share  # of MNIST's test images: those rejected as no digit
    milliseconds: float = Field(ge=0, allow_inf_nan=False)  # from a canvas to the prediction, median
    machine: Text = ""  # where `milliseconds` were measured
    command: Text = ""


def read_about(path: Path) -> About:
    """The About in a JSON file. Raises CheckpointError, which says what is wrong with the file."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise CheckpointError(f"{path} is too large to describe a model.")
        content: Any = read_json(path)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror or error}).") from None
    except (ValueError, RecursionError):
        raise CheckpointError(f"{path} is no JSON.") from None
    try:
        return About.model_validate(content)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"]) or "the file"
        raise CheckpointError(
            f"{path} does not describe a model: {where}: {problem['msg']}. Its fields: {', '.join(About.model_fields)}."
        ) from None


class SettingChange(BaseModel):
    """A setting that was changed while the training ran, after batch `step`."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, serialize_by_alias=True)

    step: int = Field(ge=0)
    field: str = Field(max_length=60)
    before: bool | int | float = Field(alias="from")
    to: bool | int | float


class Card(BaseModel):
    """What a checkpoint's weights are, where they come from and how good they are. Accuracies are in [0, 1]."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format: int = Field(1, ge=1, le=1)
    name: str = Field(max_length=200)
    summary: str = Field("", max_length=2000)
    architecture: str = Field(max_length=60)
    parameters: int = Field(ge=0, le=10**12)
    classes: list[str] = Field(min_length=2, max_length=1000)
    input_shape: tuple[int, int, int]  # channels, height, width
    mean: list[float]  # per channel, of pixels in [0, 1]
    std: list[float]
    dataset: str = Field(max_length=300)
    ground: Share | None = None  # the median level of the borders of its training images, from black to white
    config: TrainConfig  # as at the end of the training
    changes: list[SettingChange] = Field(default_factory=list)  # during the training, in order
    epoch: int = Field(ge=0, le=10**6)
    step: int = Field(ge=0, le=10**12)
    train_seconds: float = Field(ge=0)
    metrics: dict[str, float] = Field(default_factory=dict)
    # divides the logits; fitted on validation images, so that predictions of 90 % confidence are right 9 times in 10
    temperature: float = Field(1.0, gt=0, le=100)
    # a drawing is rejected as no digit below `refuse_below`, of the highest probability (older cards) or of the
    # certainty in inference/rejection.py
    refuse_by: Literal["confidence", "certainty"] = "confidence"
    refuse_below: float = Field(0.0, ge=0, le=1)
    about: About = Field(default_factory=About)
    measured: Measured | None = None
    versions: dict[str, str] = Field(default_factory=dict)
    weights_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")

    @field_validator("config", mode="before")
    @classmethod
    def _stored(cls, config: Any) -> Any:
        """A card from before preparations were recorded keeps the behaviour of that time."""
        return {"preparation": "unrecorded", **config} if isinstance(config, dict) else config

    @property
    def preparation(self) -> str:
        """How pictures become the model's input: "drawing", "whole", or "unrecorded" (see drawing/preparation.py)."""
        return "unrecorded" if self.config.preparation == "auto" else self.config.preparation

    @property
    def light_ground(self) -> bool:
        """Whether the model reads pictures as a whole, and learned from pictures on a light ground."""
        level = sum(self.mean) / len(self.mean) if self.ground is None else self.ground  # cards from before
        return self.preparation == "whole" and level > 0.5

    @property
    def network(self) -> TrainConfig:
        """The settings of its network. Raises ConfigError where they do not fit together."""
        return self.config.replace(model=self.architecture)

    @property
    def shape(self) -> Shape:
        channels, height, width = self.input_shape
        return Shape(channels, height, width, len(self.classes))

    def require(self, shape: Shape, dataset: str) -> None:
        """Raises CheckpointError unless the model reads images of `shape`, those of `dataset`, and tells apart as many
        classes. Whether these are the same ones, data/classes.py finds out."""
        if shape != self.shape:
            mine, theirs = (
                f"{s.channels}×{s.height}×{s.width} pixels in {s.classes} classes" for s in (self.shape, shape)
            )
            raise CheckpointError(
                f"The model reads images of {mine} (channels × height × width), and those of {dataset} have {theirs}: "
                "choose another dataset or another model."
            )


def versions() -> dict[str, str]:
    """The versions of Python and torch, and the processor's architecture, for the card of new weights."""
    import torch

    return {"python": platform.python_version(), "torch": torch.__version__, "machine": platform.machine()}
