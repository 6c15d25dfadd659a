"""A checkpoint in one file: its weights as safetensors, and its card in the metadata of that file.

For weights that are kept many times over a training. Loading never unpickles.
"""

from __future__ import annotations

import json
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


def write_weights_file(path: Path, model: Classifier, durable: bool = True, **card: Any) -> Card:
    """Writes `model` to `path`, atomically. `card` holds the Card's fields except those of the weights.

    The card's `weights_sha256` is that of the same weights in a checkpoint's folder. `durable=False` does not wait for
    the disk. Raises OSError.
    """
    full, weights = card_and_weights(model, **card)
    header, values = _parts(weights)
    written = _joined({_METADATA: {"card": full.model_dump_json()}, **header}, values)
    write_atomic(path, written, durable=durable)
    return full


def read_weights_file(path: Path) -> Checkpoint:
    """What `write_weights_file` wrote, checked against its card. Raises CheckpointError."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise CheckpointError(f"{path} is too large to be the weights of a model of this lab.")
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror}).") from None
    try:
        header, values = _parts(content)
        card = Card(**json.loads(header.pop(_METADATA)["card"]))
    except (ValueError, ValidationError, KeyError, TypeError, AttributeError, RecursionError):
        raise CheckpointError(f"{path} is damaged: it holds no weights with their card.") from None
    return checked(card, _joined(header, values), path)


def _parts(content: bytes) -> tuple[dict[str, Any], bytes]:
    """A safetensors file as its header and the bytes of its tensors. Raises ValueError."""
    begin = _LENGTH_BYTES + int.from_bytes(content[:_LENGTH_BYTES], "little")
    return json.loads(content[_LENGTH_BYTES:begin]), content[begin:]


def _joined(header: dict[str, Any], values: bytes) -> bytes:
    """The file of such parts, byte for byte as the safetensors package writes it."""
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _LENGTH_BYTES)
    return len(text).to_bytes(_LENGTH_BYTES, "little") + text + values
