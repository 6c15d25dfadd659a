"""TrainConfig: every setting of a training, validated, with one JSON form."""

from __future__ import annotations

import typing
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mnist_core.errors import ConfigError

Optimizer = Literal["adam", "adamw", "sgd"]
Schedule = Literal["constant", "one-cycle", "cosine", "step"]
Activation = Literal["relu", "leaky-relu", "gelu", "silu", "tanh", "elu"]
Split = Literal["official", "pooled"]
Labels = Literal["index", "one-hot"]
Head = Literal["logits", "log-softmax"]
Precision = Literal["float32", "bfloat16", "auto"]
Preparation = Literal["auto", "drawing", "whole", "unrecorded"]
NETWORK = ("model", "activation", "batch_norm", "head")  # the settings that must agree for weights to mean the same


@dataclass(frozen=True)
class Shape:
    """The shape of a network's input and output: channels, height and width in px, and the number of classes."""

    channels: int = 1
    height: int = 28
    width: int = 28
    classes: int = 10


class TrainConfig(BaseModel):
    """All settings of one training. Immutable; `replace` makes a changed copy.

    Equal configs give bit-identical weights on the same CPU with the same number of threads: `threads`, or those of
    the process (OMP_NUM_THREADS, else all cores).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: str = Field("custom", max_length=60, description="The recipe these settings started from")
    dataset: str = Field("mnist", max_length=300, description="The dataset to train on")
    preparation: Preparation = Field(
        "auto",
        description="How pictures become the network's input: as a drawing (ink found, made light on dark, scaled and "
        "centred as in MNIST) or as a whole (shrunk, in their own colours); auto decides by the dataset's pictures",
    )

    model: str = Field("small-cnn", max_length=60, description="Architecture, by its name in the registry")
    activation: Activation = Field("relu", description="Non-linearity after each layer")
    head: Head = Field(
        "logits",
        description="Output of the last layer: raw scores (logits), or their log-probabilities",
    )
    batch_norm: bool = Field(True, description="Normalise each layer over the batch: steadier, faster learning")
    dropout: float = Field(
        0.0, ge=0, le=0.9, description="Share of features switched off at random while training, against overfitting"
    )

    epochs: int = Field(1, ge=1, le=200, description="How often the training goes through all training images")
    batch_size: int = Field(
        256, ge=8, le=4096, description="Images per step. Larger is faster per image but takes fewer steps"
    )
    optimizer: Optimizer = Field("adam", description="Rule that turns gradients into steps")
    learning_rate: float = Field(
        1e-3, ge=1e-6, le=10, description="Size of a step (the peak of a schedule). The most important setting"
    )
    momentum: float = Field(0.9, ge=0, le=0.999, description="How much of the last step is kept (SGD only)")
    weight_decay: float = Field(0.0, ge=0, le=1, description="Pull of all weights towards zero, against overfitting")
    l2_first: float = Field(
        0.0, ge=0, le=1, description="Penalty on the squared weights of the first dense layer, added to the loss (L2)"
    )
    schedule: Schedule = Field("constant", description="How the learning rate moves during the training")
    step_epochs: int = Field(5, ge=1, le=200, description="Epochs between two drops of the `step` schedule")
    step_factor: float = Field(0.1, gt=0, le=1, description="What a drop of the `step` schedule multiplies by")
    label_smoothing: float = Field(0.0, ge=0, le=0.5, description="Probability spread over the wrong classes")
    labels: Labels = Field(
        "index", description="The target as a class number, or as one probability per class; the loss is the same"
    )
    ema_decay: float = Field(
        0.0, ge=0, le=0.9999, description="Average the weights over steps with this decay per step; 0 is off"
    )

    rotation: float = Field(0.0, ge=0, le=45, description="Augmentation: rotate by up to ± this many degrees")
    translation: float = Field(
        0.0,
        ge=0,
        le=8,
        description="Augmentation: shift by up to ± this many pixels; by whole ones where nothing else moves",
    )
    scaling: float = Field(0.0, ge=0, le=0.5, description="Augmentation: enlarge or shrink by up to this fraction")
    shear: float = Field(0.0, ge=0, le=45, description="Augmentation: slant by up to ± this many degrees")
    flip: bool = Field(False, description="Augmentation: mirror half of the images at random. Not for digits")
    elastic: float = Field(
        0.0, ge=0, le=6, description="Augmentation: bend the image, moving points by about this many pixels at random"
    )
    erasing: int = Field(
        0, ge=0, le=32, description="Augmentation: blank a square of this many pixels a side, somewhere in each image"
    )

    classes: str = Field(
        "",
        max_length=3000,
        description="Names of classes that `init_from`, `teachers` or `extra` have otherwise than the dataset: "
        "theirs=mine, separated by commas",
    )
    init_from: str = Field(
        "",
        max_length=300,
        description="Weights to begin with instead of random ones: a shipped model's name, or a checkpoint's folder",
    )
    init_share: float = Field(
        0.0,
        ge=0,
        le=0.9,
        description="Share of the weights of `init_from` in the model that is kept, which forgets less for it; "
        "the rest is what was trained",
    )
    teachers: str = Field(
        "",
        max_length=1000,
        description="Models to learn from beside the labels (distillation): the mean of their probabilities for each "
        "augmented image. Shipped models' names or checkpoints' folders, separated by commas",
    )
    distillation: float = Field(
        0.9, ge=0, le=1, description="Weight of the teachers' probabilities in the target; the rest is the label's"
    )
    extra: str = Field(
        "", max_length=300, description="Further training images, `drawings:PATH`; never used for validation or test"
    )
    extra_copies: int = Field(
        6, ge=1, le=100, description="Copies of each drawing of `extra`, each with another brush and jittered strokes"
    )
    extra_invented: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of these copies in invented hands: half of their 1s and 7s have other flags, feet and bars",
    )

    non_digits: int = Field(
        0,
        ge=0,
        le=100_000,
        description="Drawings of no digit to train on, with all classes equally likely as their target",
    )

    rehearsal: str = Field(
        "",
        max_length=300,
        description="Teaching: where `dataset` is drawings, what `init_from` learned from before, whose images are "
        "mixed in so that little is forgotten. A dataset, or auto",
    )
    rehearsal_images: int = Field(
        4500, ge=0, le=1_000_000, description="How many training images of `rehearsal` are mixed in, at most"
    )

    normalization: Literal["unit", "standard"] = Field(
        "standard", description="Pixels as 0 to 1 (unit), or shifted and scaled to mean 0, deviation 1 (standard)"
    )
    split: Split = Field(
        "official", description="The dataset's own test images, or others drawn from all images pooled"
    )
    test_fraction: float = Field(0.1, gt=0, le=0.5, description="Share of all images held out as test (pooled only)")
    validation_fraction: float = Field(
        1 / 12,
        gt=0,
        le=0.5,
        description="Share held out for validation: of the training images, or of all when pooled",
    )
    train_share: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Share of the training images to learn from, the same of each class, drawn with the seed; "
        "validation and test stay as they are. With fewer images, see how many it takes",
    )
    label_noise: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of the training labels replaced by another class at random, with the seed; validation and "
        "test keep theirs. See how much wrong teaching a network bears",
    )
    precision: Precision = Field(
        "float32",
        description="Number format of the network while training: bfloat16 is faster where the processor has it",
    )
    threads: int = Field(
        0,
        ge=0,
        le=256,
        description="CPU threads for computing; 0 is all. Fewer leave cores to others, and change the rounding",
    )
    validations_per_epoch: int = Field(1, ge=1, le=20, description="How often an epoch measures validation")
    keep: Literal["last", "best"] = Field(
        "last", description="The epoch whose weights are kept: the last, or the best on validation"
    )
    patience: int = Field(
        0,
        ge=0,
        le=200,
        description="Early stopping: end after this many epochs without a better validation; 0 is off",
    )
    snapshots: bool = Field(
        False,
        description="Keep the weights at steps 0, 1, 2, 4, 8, … and after every epoch, so that Replay can show how the "
        "network learned; the training is the same",
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Same seed, same result")

    def replace(self, **changes: Any) -> TrainConfig:
        """A copy with `changes`, validated. Raises ConfigError."""
        return parse_config({**self.model_dump(), **changes})

    def differences(self, other: TrainConfig) -> dict[str, Any]:
        """Field → own value, for the fields in which `other` differs, in the order of the fields."""
        theirs = other.model_dump()
        return {name: value for name, value in self.model_dump().items() if value != theirs[name]}


def parse_config(values: dict[str, Any]) -> TrainConfig:
    """Plain values (from JSON, a form or a command line) → TrainConfig. Raises ConfigError."""
    if not isinstance(values, dict):
        raise ConfigError("A configuration is a JSON object of settings and values.")
    try:
        return TrainConfig(**values)
    except ValidationError as error:
        raise ConfigError(" ".join(_sentence(problem) for problem in error.errors())) from None
    except TypeError:
        raise ConfigError("A configuration's settings have names in plain text.") from None


def parse_stored_config(values: Any) -> TrainConfig:
    """The same for a config that a run or a card has kept. One from before `preparation` was a setting keeps the
    behaviour of that time, "unrecorded". Raises ConfigError."""
    return parse_config({"preparation": "unrecorded", **values} if isinstance(values, dict) else values)


def field_range(name: str) -> tuple[Any, Any]:
    """(lowest, highest) value of a number field; None where there is no bound."""
    low = high = None
    for rule in TrainConfig.model_fields[name].metadata:
        low = getattr(rule, "ge", getattr(rule, "gt", low))
        high = getattr(rule, "le", getattr(rule, "lt", high))
    return low, high


def field_choices(name: str) -> list[str]:
    """The values of a choice field."""
    return list(typing.get_args(TrainConfig.model_fields[name].annotation))


def field_help(name: str) -> str:
    """The description of a field, as a sentence."""
    return (TrainConfig.model_fields[name].description or "") + "."


def parse_assignments(assignments: list[str]) -> dict[str, Any]:
    """`["dropout=0.5", "batch_norm=false"]` → {field: text}, for `TrainConfig.replace`. Raises ConfigError."""
    values: dict[str, Any] = {}
    for assignment in assignments:
        name, separator, text = assignment.partition("=")
        name = name.strip().replace("-", "_")
        if not separator or name not in TrainConfig.model_fields:
            fields = ", ".join(TrainConfig.model_fields)
            raise ConfigError(f"'{assignment[:100]}' is not FIELD=VALUE. The fields are: {fields}.")
        values[name] = text.strip()
    return values


def _sentence(problem: Any) -> str:
    field = ".".join(str(part) for part in problem["loc"]) or "configuration"
    if problem["type"] == "extra_forbidden":
        return f"There is no setting '{field}'; the settings are: {', '.join(TrainConfig.model_fields)}."
    low, high = field_range(field) if field in TrainConfig.model_fields else (None, None)
    allowed = f" (allowed: {low:g} to {high:g})" if low is not None and high is not None else ""
    reason = problem["msg"].removeprefix("Input should be ")
    return f"{field} should be {reason}, not {repr(problem['input'])[:60]}{allowed}."
