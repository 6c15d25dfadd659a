"""A checkpoint in one file: its weights as safetensors, and its card in the metadata of that file.

For weights that are kept many times over a training. Loading never unpickles.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from mnist_core.errors import CheckpointError
from mnist_core.models.card import Card
from mnist_core.models.checkpoint import Checkpoint, card_and_weights, checked
from mnist_core.system.files import write_atomic

if TYPE_CHECKING:
    from mnist_core.models.classifier import Classifier

MAX_BYTES = 500_000_000
_LENGTH_BYTES = 8  # of the header, which is JSON: https://huggingface.co/docs/safetensors
_METADATA = "__metadata__"


def write_weights_file(
    path: Path, model: Classifier, durable: bool = True, notes: Mapping[str, Any] | None = None, **card: Any
) -> Card:
    """Writes `model` to `path`, atomically. `card` holds the Card's fields except those of the weights, `notes` what
    else is to lie beside them, as JSON.

    The card's `weights_sha256` is that of the same weights in a checkpoint's folder. `durable=False` does not wait for
    the disk. Raises OSError.
    """
    full, weights = card_and_weights(model, **card)
    header, values = _parts(weights)
    metadata = {"card": full.model_dump_json(), **({"notes": json.dumps(notes)} if notes else {})}
    written = _joined({_METADATA: metadata, **header}, values)
    write_atomic(path, written, durable=durable)
    return full


def read_weights_file(path: Path) -> Checkpoint:
    """What `write_weights_file` wrote, checked against its card. Raises CheckpointError."""
    return read_with_notes(path)[0]


def read_with_notes(path: Path) -> tuple[Checkpoint, dict[str, Any]]:
    """The same, and its notes, which nothing has checked. Raises CheckpointError."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise CheckpointError(f"{path} is too large to be the weights of a model of this lab.")
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror}).") from None
    try:
        header, values = _parts(content)
        metadata = header.pop(_METADATA)
        card, notes = Card(**json.loads(metadata["card"])), json.loads(metadata.get("notes", "{}"))
    except (ValueError, ValidationError, KeyError, TypeError, AttributeError, RecursionError):
        raise CheckpointError(f"{path} is damaged: it holds no weights with their card.") from None
    return checked(card, _joined(header, values), path), notes


def _parts(content: bytes) -> tuple[dict[str, Any], bytes]:
    """A safetensors file as its header and the bytes of its tensors. Raises ValueError."""
    begin = _LENGTH_BYTES + int.from_bytes(content[:_LENGTH_BYTES], "little")
    return json.loads(content[_LENGTH_BYTES:begin]), content[begin:]


def _joined(header: dict[str, Any], values: bytes) -> bytes:
    """The file of such parts, byte for byte as the safetensors package writes it."""
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _LENGTH_BYTES)
    return len(text).to_bytes(_LENGTH_BYTES, "little") + text + values
