"""What the processes of one training do together in each step, and that they do the same.

Each has the network, the optimizer and all images, and takes its part of every batch. The gradients of the parts are
added up, so that each process takes the step of the whole batch; weights are never sent. Gradients travel as one
message after the backward pass, and the batch's loss and accuracy with them: networks of this size are bound by the
number of messages (benchmarks/scaling.py compares that with torch's DistributedDataParallel, which sends several during
the backward pass; S. Li et al., PyTorch Distributed, 2020, arXiv:2006.15704).
"""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from mnist_core.data.dataset import Dataset
from mnist_core.errors import LabError, RunFailedError
from mnist_core.system.processes import Group
from mnist_core.training.loss import has_bfloat16

if TYPE_CHECKING:
    from mnist_core.training.state import TrainState


def sum_gradients(model: nn.Module, measured: Tensor, group: Group) -> list[float]:
    """Adds up the gradients of `model` over all processes, in place, and (K,) `measured`. → the K sums."""
    if group.size > 1:
        gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
        message = torch.cat([*(gradient.flatten() for gradient in gradients), measured])
        group.sum(message)
        *parts, measured = message.split([*(gradient.numel() for gradient in gradients), len(measured)])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view(gradient.shape))
    return [float(value) for value in measured.tolist()]


def agree(group: Group, state: TrainState | None, data: Dataset | None, error: LabError | None = None) -> None:
    """Raises RunFailedError, the same in every process, where one has an `error` or something else than process 0."""
    if group.size == 1:
        if error is not None:
            raise error
        return
    record: dict[str, str] = {"host": platform.node(), "error": str(error or "")}
    if state is not None and data is not None:
        record |= _record(state, data)
    records = group.gather(record)
    for rank, found in enumerate(records):
        if found["error"]:
            raise RunFailedError(f"Process {rank} on {found['host']} cannot begin: {found['error']}")
    first = records[0]
    for rank, found in enumerate(records):
        for name in first:
            if name not in ("host", "error") and found[name] != first[name]:
                raise RunFailedError(
                    f"The processes of this training differ in {name}: process 0 on {first['host']} has {first[name]}, "
                    f"process {rank} on {found['host']} has {found[name]}. All must have the same."
                )


def _record(state: TrainState, data: Dataset) -> dict[str, str]:
    """What must be the same in every process, by its name in a sentence."""
    reduced = state.config.precision == "bfloat16" or (
        state.config.precision == "auto" and has_bfloat16(torch.device(state.device.type))
    )
    return {
        "the version of torch": torch.__version__,
        "the version of the lab": _lab(),
        "where they compute": state.device.type,
        "the precision (set `precision` to float32)": "bfloat16" if reduced else "float32",
        "their images or labels": f"{data.name} with SHA-256 {_images(state, data)}",
        "the weights they begin with": _weights(state.model),
        "their teachers": ", ".join(map(_weights, state.teachers)) or "none",
    }


def _images(state: TrainState, data: Dataset) -> str:
    return hashlib.sha256(data.train_fingerprint.encode() + state.labels.tobytes()).hexdigest()[:12]


def _weights(model: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


@cache
def _lab() -> str:
    """The version that is installed, if any, and a digest of the library's own files."""
    try:
        named = version("mnist-lab")
    except PackageNotFoundError:
        named = "unpackaged"
    folder, digest = Path(__file__).parents[1], hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes().replace(b"\r\n", b"\n"))
    return f"{named} ({digest.hexdigest()[:12]})"
