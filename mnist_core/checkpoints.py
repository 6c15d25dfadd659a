"""A checkpoint is a folder: `model.safetensors` (weights) and `card.json` (what they are). Loading never unpickles."""

from __future__ import annotations

import functools
import hashlib
import math
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import safetensors.torch
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mnist_core.about import About, Measured
from mnist_core.config import Shape, TrainConfig
from mnist_core.errors import CheckpointError, LabError
from mnist_core.models import Classifier, build_model
from mnist_core.system.files import json_bytes, read_json, write_json, write_pair

CARD, WEIGHTS = "card.json", "model.safetensors"
SHIPPED = Path(__file__).resolve().parent.parent / "checkpoints"
_MAX_CARD_BYTES = 1_000_000
_MAX_WEIGHT_BYTES = 500_000_000


class SettingChange(BaseModel):
    """A setting that was changed while the training ran, after batch `step`."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, serialize_by_alias=True)

    step: int = Field(ge=0)
    field: str = Field(max_length=60)
    before: bool | int | float = Field(alias="from")
    to: bool | int | float


class Card(BaseModel):
    """What a checkpoint's weights are, where they come from and how good they are. Accuracies in [0, 1]."""

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
    config: TrainConfig  # as it was at the end
    changes: list[SettingChange] = Field(default_factory=list)  # made while the training ran, in order
    epoch: int = Field(ge=0, le=10**6)
    step: int = Field(ge=0, le=10**12)
    train_seconds: float = Field(ge=0)
    metrics: dict[str, float] = Field(default_factory=dict)
    # the logits are divided by it: fitted on validation images, so that "90 % sure" is right 9 times in 10
    temperature: float = Field(1.0, gt=0, le=100)
    # where the model is less sure, a drawing is called "not sure it is a digit" (see predict.py): by the probability of
    # its best class, as in older cards, or by the certainty of calibration.py
    refuse_by: Literal["confidence", "certainty"] = "confidence"
    refuse_below: float = Field(0.0, ge=0, le=1)
    about: About = Field(default_factory=About)
    measured: Measured | None = None
    versions: dict[str, str] = Field(default_factory=dict)
    weights_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")

    @property
    def shape(self) -> Shape:
        channels, height, width = self.input_shape
        return Shape(channels, height, width, len(self.classes))

    def require(self, shape: Shape, dataset: str) -> None:
        """Raises CheckpointError unless the model reads images of `shape`, those of `dataset`."""
        if shape != self.shape:
            mine, theirs = (
                f"{s.channels}×{s.height}×{s.width} pixels in {s.classes} classes" for s in (self.shape, shape)
            )
            raise CheckpointError(
                f"The model reads images of {mine} (channels × height × width), and those of {dataset} have {theirs}: "
                "choose another dataset or another model."
            )


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A loaded checkpoint: the network in evaluation mode on the CPU, its card, and the folder it came from."""

    model: Classifier
    card: Card
    folder: Path


def versions() -> dict[str, str]:
    """What the weights were made with: Python, torch, and the processor's architecture."""
    return {"python": platform.python_version(), "torch": torch.__version__, "machine": platform.machine()}


def save_checkpoint(folder: Path, model: Classifier, **card: Any) -> Card:
    """Writes weights, then card, each atomically. `card` holds the Card's fields but for those of the weights.

    A crash in between leaves a folder without a card; a full disk leaves what was there. Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    weights = safetensors.torch.save(tensors)
    full = Card(
        weights_sha256=hashlib.sha256(weights).hexdigest(),
        parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
        mean=[round(value, 6) for value in model.mean.flatten().tolist()],
        std=[round(value, 6) for value in model.std.flatten().tolist()],
        versions=versions(),
        **card,
    )
    write_pair((folder / WEIGHTS, weights), (folder / CARD, json_bytes(full.model_dump(mode="json"))))
    return full


def update_card(folder: Path, **changes: Any) -> Card:
    """Rewrites the card with `changes`; the weights stay. Raises CheckpointError or OSError."""
    card = read_card(folder).model_copy(update=changes)
    write_json(folder / CARD, card.model_dump(mode="json"))
    return card


def read_card(folder: Path) -> Card:
    """The card alone. Raises CheckpointError when it is missing or no card."""
    path = folder / CARD
    try:
        if path.stat().st_size > _MAX_CARD_BYTES:
            raise CheckpointError(f"{path} is too large to be a checkpoint's card.")
        return Card(**read_json(path))
    except OSError:
        raise CheckpointError(f"There is no checkpoint at {folder}: it has no {CARD}.") from None
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise CheckpointError(f"{path} is damaged: {where}: {problem['msg']}.") from None
    except (ValueError, TypeError, RecursionError) as error:
        if isinstance(error, LabError):
            raise
        raise CheckpointError(f"{path} is damaged: it is no JSON card.") from None


def load_checkpoint(folder: Path | str) -> Checkpoint:
    """Weights and card, checked against each other. Raises CheckpointError, saying which of them is wrong."""
    folder = Path(folder)
    card, weights = read_card(folder), _weights(folder)
    if hashlib.sha256(weights).hexdigest() != card.weights_sha256:
        raise CheckpointError(
            f"The weights in {folder} are not those that its card describes (SHA-256 differs): "
            "the file is damaged or was exchanged. Train again or restore the folder."
        )
    if min(card.input_shape) < 1 or max(card.input_shape) > 1024:
        raise CheckpointError(f"The card in {folder} names an input of {card.input_shape}: not a picture.")
    if not all(map(math.isfinite, card.mean + card.std)):
        raise CheckpointError(f"The card in {folder} has a normalisation that is no number.")
    if len(card.mean) != card.input_shape[0] or len(card.std) != card.input_shape[0] or min(card.std) <= 0:
        raise CheckpointError(f"The card in {folder} disagrees with itself: normalisation and channels do not match.")
    try:
        config = card.config.replace(model=card.architecture)
        tensors = safetensors.torch.load(weights)
        with torch.device("meta"):  # shapes only: a card must not make us take memory that its weights do not fill
            described = build_model(config, card.shape, card.mean, card.std).state_dict()
        if _shapes(described) != _shapes(tensors):
            raise ValueError
        with torch.random.fork_rng():  # building a model must not disturb a training in the same process
            model = build_model(config, card.shape, card.mean, card.std)
        model.load_state_dict(tensors)
        if not all(tensor.isfinite().all() for tensor in model.state_dict().values()):
            raise CheckpointError("weights among them are no numbers.")
        model.temperature = card.temperature
    except LabError as error:
        raise CheckpointError(f"The card in {folder} cannot be met: {error}") from None
    except (RuntimeError, KeyError, ValueError, safetensors.SafetensorError):
        raise CheckpointError(
            f"The weights in {folder} do not fit the architecture '{card.architecture}' that its card names."
        ) from None
    return Checkpoint(model.eval(), card, folder)


def _weights(folder: Path) -> bytes:
    path = folder / WEIGHTS
    try:
        if path.stat().st_size > _MAX_WEIGHT_BYTES:
            raise CheckpointError(f"{path} is too large to be a model of this lab.")
        return path.read_bytes()
    except OSError:
        raise CheckpointError(f"The checkpoint {folder} has no readable {WEIGHTS}.") from None


def _shapes(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in tensors.items()}


def is_whole(folder: Path) -> bool:
    """Whether the card can be read and the weights are those it describes; read again only when a file has changed."""
    try:
        found = [os.stat(folder / name) for name in (CARD, WEIGHTS)]
    except OSError:
        return False
    return _is_whole(folder, *((file.st_mtime_ns, file.st_size, file.st_ino) for file in found))


@functools.lru_cache(maxsize=1000)
def _is_whole(folder: Path, *_stamps: tuple[int, int, int]) -> bool:
    try:
        return hashlib.sha256(_weights(folder)).hexdigest() == read_card(folder).weights_sha256
    except CheckpointError:
        return False


def find_checkpoint(name_or_path: str) -> Path:
    """A name under the shipped `checkpoints/`, or a checkpoint folder's path → the folder. Raises CheckpointError."""
    if name_or_path in shipped_names():
        return SHIPPED / name_or_path
    if name_or_path and os.path.isdir(name_or_path):  # unlike Path.is_dir, no error for a name too long to be one
        return Path(name_or_path)
    raise CheckpointError(
        f"There is no checkpoint '{name_or_path[:200]}'. Shipped: {', '.join(shipped_names()) or 'none'}; "
        "or give the path of a checkpoint folder."
    )


def shipped_names() -> list[str]:
    """Names of the checkpoints that come with the lab."""
    if not SHIPPED.is_dir():
        return []
    return sorted(folder.name for folder in SHIPPED.iterdir() if (folder / CARD).is_file())
