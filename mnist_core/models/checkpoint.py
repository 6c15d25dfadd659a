"""Checkpoints: folders of `model.safetensors` (weights) and `card.json` (what they are). Loading never unpickles."""

from __future__ import annotations

import functools
import hashlib
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from mnist_core.errors import CheckpointError, LabError
from mnist_core.lazy import LazyModule
from mnist_core.models.card import Card, versions
from mnist_core.system.files import json_bytes, read_json, write_json, write_pair
from mnist_core.system.resources import resource

if TYPE_CHECKING:
    import torch

    from mnist_core.models.classifier import Classifier
else:
    torch = LazyModule("torch")

CARD, WEIGHTS = "card.json", "model.safetensors"
SHIPPED = resource("checkpoints")
_MAX_CARD_BYTES = 1_000_000
_MAX_WEIGHT_BYTES = 500_000_000


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A loaded checkpoint: its card, the folder it came from, and its weights, named as in a `state_dict`."""

    card: Card
    folder: Path
    weights: dict[str, np.ndarray]

    @functools.cached_property
    def model(self) -> Classifier:
        """The network as a module of torch, in evaluation mode on the CPU, to look inside or to train it further.

        Predictions need no torch: see inference/network.py.
        """
        from mnist_core.models.classifier import build_model

        card = self.card
        with torch.random.fork_rng():  # the random state of a training in the same process stays as it is
            model = build_model(card.network, card.shape, card.mean, card.std)
        model.load_state_dict({name: torch.from_numpy(values.copy()) for name, values in self.weights.items()})
        model.temperature = card.temperature
        return model.eval()


def save_checkpoint(folder: Path, model: Classifier, **card: Any) -> Card:
    """Writes weights, then card, each atomically. `card` holds the Card's fields except those of the weights.

    A crash in between leaves a folder without a card; a full disk leaves the old checkpoint. Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    full, weights = card_and_weights(model, **card)
    write_pair((folder / WEIGHTS, weights), (folder / CARD, json_bytes(full.model_dump(mode="json"))))
    return full


def card_and_weights(model: Classifier, **card: Any) -> tuple[Card, bytes]:
    """The card of `model`, whose other fields are in `card`, and its weights as a safetensors file."""
    from safetensors.torch import save

    weights = save({name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()})
    full = Card(
        weights_sha256=hashlib.sha256(weights).hexdigest(),
        parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
        mean=[round(value, 6) for value in model.mean.flatten().tolist()],
        std=[round(value, 6) for value in model.std.flatten().tolist()],
        versions=versions(),
        **card,
    )
    return full, weights


def update_card(folder: Path, **changes: Any) -> Card:
    """Rewrites the card with `changes`; the weights stay. Raises CheckpointError and OSError."""
    card = read_card(folder).model_copy(update=changes)
    write_json(folder / CARD, card.model_dump(mode="json"))
    return card


def read_card(folder: Path) -> Card:
    """The card alone. Raises CheckpointError when it is missing or invalid."""
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
    except (ValueError, TypeError, RecursionError):
        raise CheckpointError(f"{path} is damaged: it is no JSON card.") from None


def load_checkpoint(folder: Path | str) -> Checkpoint:
    """Weights and card, checked against each other. Raises CheckpointError, which says what of them is wrong."""
    folder = Path(folder)
    return checked(read_card(folder), _weights(folder), folder)


def checked(card: Card, weights: bytes, folder: Path) -> Checkpoint:
    """The checkpoint of a card and a safetensors file, which lie in `folder`. Raises CheckpointError."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    from mnist_core.models.architectures import describe
    from mnist_core.models.layers import tensor_shapes

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
        tensors = {name: _as_float32(values) for name, values in load(weights).items()}
        shapes = {f"net.{name}": shape for name, shape in tensor_shapes(describe(card.network, card.shape)).items()}
        if shapes != {name: values.shape for name, values in tensors.items()}:
            raise ValueError
        if not all(np.isfinite(values).all() for values in tensors.values()):
            raise CheckpointError("some weights are not finite.")
    except LabError as error:
        raise CheckpointError(f"The card in {folder} cannot be met: {error}") from None
    except KeyError as error:  # the type of numbers that safetensors does not know in numpy, as BF16
        raise CheckpointError(
            f"The weights in {folder} are numbers of type {str(error)[:40]}, which are not read here: "
            "store them as float32."
        ) from None
    except (ValueError, SafetensorError):
        raise CheckpointError(
            f"The weights in {folder} do not fit the architecture '{card.architecture}' that its card names."
        ) from None
    return Checkpoint(card, folder, tensors)


def _weights(folder: Path) -> bytes:
    path = folder / WEIGHTS
    try:
        if path.stat().st_size > _MAX_WEIGHT_BYTES:
            raise CheckpointError(f"{path} is too large to be a model of this lab.")
        return path.read_bytes()
    except OSError:
        raise CheckpointError(f"The checkpoint {folder} has no readable {WEIGHTS}.") from None


def _as_float32(values: np.ndarray) -> np.ndarray:
    """Numbers as networks compute with them; what counts batches stays whole. Raises ValueError for other types."""
    if values.dtype.kind not in "fiu":
        raise ValueError(values.dtype)
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused as such
        return values.astype(np.float32) if values.dtype.kind == "f" else values


def is_whole(folder: Path) -> bool:
    """Whether the card is valid and describes the weights; files are read again only after they have changed."""
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
    """The name of a shipped checkpoint, or the path of a checkpoint folder → the folder. Raises CheckpointError."""
    if name_or_path in shipped_names():
        return SHIPPED / name_or_path
    if name_or_path and os.path.isdir(name_or_path):  # unlike Path.is_dir, False for a name that is too long
        return Path(name_or_path)
    raise CheckpointError(
        f"There is no checkpoint '{name_or_path[:200]}'. Shipped: {', '.join(shipped_names()) or 'none'}; "
        "or give the path of a checkpoint folder."
    )


def shipped_names() -> list[str]:
    """The names of the checkpoints that ship with the lab, sorted."""
    if not SHIPPED.is_dir():
        return []
    return sorted(folder.name for folder in SHIPPED.iterdir() if (folder / CARD).is_file())
