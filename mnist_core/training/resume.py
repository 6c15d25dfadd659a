"""The state that a training is resumed from: `resume.pt`, with its checksum, and the one before beside it.

A line of text with the SHA-256 of all that follows, then what torch.save makes of tensors and plain values. It is read
with `weights_only=True` and only when the checksum is right: nothing in it is ever executed.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_core.config import parse_stored_config
from mnist_core.errors import CheckpointError, LabError
from mnist_core.lazy import LazyModule
from mnist_core.system.files import write_atomic
from mnist_core.training.changes import changed_config

if TYPE_CHECKING:
    import torch

    from mnist_core.training.state import TrainState
else:
    torch = LazyModule("torch")

RESUME, PREVIOUS = "resume.pt", "resume-previous.pt"
_TITLE = b"MNIST Lab resume state, SHA-256 "
_HEADER_BYTES = len(_TITLE) + 64 + 1
_MAX_BYTES = 4_000_000_000


def save_resume(folder: Path, state: dict[str, Any]) -> None:
    """Training state (tensors and plain values) → `folder`, atomically; the one before is kept. Raises OSError."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getvalue()
    header = _TITLE + hashlib.sha256(content).hexdigest().encode() + b"\n"
    write_atomic(folder / RESUME, header + content, keep=folder / PREVIOUS)


def can_resume(folder: Path) -> bool:
    """Whether a state was ever saved in `folder`."""
    return (folder / RESUME).exists() or (folder / PREVIOUS).exists()


def load_resume(folder: Path) -> tuple[dict[str, Any], str]:
    """The newest whole state in `folder`, and a sentence where that is not the newest. Raises CheckpointError.

    A damaged newest one is replaced by the one before: the next save must not keep it as "the one before".
    """
    newest, previous = folder / RESUME, folder / PREVIOUS
    if not newest.exists() and previous.exists():  # killed between the two moves of a save
        return read_resume(previous), ""
    try:
        return read_resume(newest), ""
    except CheckpointError:
        if not previous.exists():
            raise
    state = read_resume(previous)
    with contextlib.suppress(OSError):  # on a disk that refuses, the next save pauses the run and says so
        os.replace(previous, newest)
    return state, "The newest saved state is damaged: the training went on from the one before."


def read_resume(path: Path) -> dict[str, Any]:
    """Reads one file that `save_resume` wrote, without unpickling code. Raises CheckpointError."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise CheckpointError(f"{path} is too large to be resumed from.")
        whole = path.read_bytes()
    except FileNotFoundError:
        raise CheckpointError(f"There is nothing to resume from: {path} is missing.") from None
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read and cannot be resumed from ({error.strerror}).") from None
    header, content = whole[:_HEADER_BYTES], whole[_HEADER_BYTES:]
    if header != _TITLE + hashlib.sha256(content).hexdigest().encode() + b"\n":
        raise CheckpointError(f"{path} is damaged and cannot be resumed from (SHA-256 differs).")
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file, all of which mean the same here
        raise CheckpointError(f"{path} is damaged and cannot be resumed from ({type(error).__name__}).") from None
    if not isinstance(state, dict):
        raise CheckpointError(f"{path} is damaged and cannot be resumed from.")
    return state


def saved_state(folder: Path) -> tuple[dict[str, Any] | None, str]:
    """As `load_resume`, and None where no state was ever saved in `folder`. Raises CheckpointError."""
    return load_resume(folder) if can_resume(folder) else (None, "")


def restore(state: TrainState, saved: dict[str, Any]) -> None:
    """Puts `state` where `saved` was taken. Raises CheckpointError or RunError when that is another training's."""
    try:
        if changed_config(state.config, saved.get("changes", [])) != parse_stored_config(saved["config"]):
            raise CheckpointError("The saved state belongs to other settings: start a new run instead.")
        _check_position(state, saved)
        state.load_state_dict(saved)
    except LabError:
        raise
    except Exception as error:  # torch raises many kinds for tensors that do not fit
        raise CheckpointError(
            f"The saved state is damaged ({type(error).__name__}): start a new run instead."
        ) from None


def _check_position(state: TrainState, saved: dict[str, Any]) -> None:
    epoch, batch, checked = saved["position"]
    numbers = [*saved["seconds"], *saved["sums"]]
    if not all(type(value) is int for value in (epoch, batch, checked)) or len(numbers) != 5:
        raise TypeError
    if not (0 <= epoch <= state.config.epochs and 0 <= batch <= state.steps_per_epoch and checked >= 0):
        raise ValueError
    if not all(math.isfinite(value) and value >= 0 for value in numbers):
        raise ValueError
