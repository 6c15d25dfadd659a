"""Claim: what several processes cost on this machine, and what several machines would bring, as far as that follows.

    python -m benchmarks.scaling

Measured here: images a second of `quick` by one process and by two (of the same cores, so only the overhead shows),
the time of one all-reduce of each shipped network's gradients (gloo, loopback) against the time of its step, and the
same by torch's DistributedDataParallel. Predicted from these: the speed-up of 2 to 64 machines, each as this one with
one thread. A ring all-reduce among N machines sends 2 (N - 1) / N of the bytes through each, in 2 (N - 1) messages one
after the other (P. Patarasuk, X. Yuan, Bandwidth optimal all-reduce algorithms for clusters of workstations, 2009,
doi:10.1016/j.jpdc.2008.09.002; https://github.com/NVIDIA/nccl-tests/blob/master/doc/PERFORMANCE.md). Batch norm's sums
and process 0's word in each step are small: 2 log2 N messages each. A message costs what it costs here, and 20 µs in a
switch. Prints markdown. The networks are trained without their teachers.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from mnist_core.config import Shape, TrainConfig
from mnist_core.data.loading import load_dataset
from mnist_core.data.splits import arrange
from mnist_core.models.checkpoint import find_checkpoint, read_card
from mnist_core.models.classifier import build_model
from mnist_core.recipes import get_recipe
from mnist_core.system.processes import Group, joined
from mnist_core.training.batch_norm import synchronize_batch_norm
from mnist_core.training.loop import train
from mnist_core.training.loss import training_loss
from mnist_core.training.optim import make_optimizer
from mnist_core.training.profile import step_seconds
from mnist_core.training.state import TrainState
from mnist_core.training.together import sum_gradients
from tests.helpers import ROOT

NETWORKS = ("tiny", "accurate", "pen", "residual", "best")
MACHINES = (2, 4, 8, 16, 32, 64)
GIGABITS = (1, 10, 100)
SWITCH_SECONDS = 20e-6
STEPS = 60  # of `quick`


def shipped(name: str) -> tuple[TrainConfig, Shape]:
    card = read_card(find_checkpoint(name))
    return card.config.replace(teachers="", init_from="", threads=1), card.shape


def fastest(act: Callable[[], object], times: int, warm: int = 2) -> float:
    """Seconds of the fastest of `times` calls."""
    found = []
    for _ in range(warm + times):
        started = time.perf_counter()
        act()
        found.append(time.perf_counter() - started)
    return min(found[warm:])


def quick_speed(group: Group, threads: int) -> float:
    """Images a second of `quick` on MNIST, the best tenth of STEPS."""
    config = get_recipe("quick").config("mnist").replace(threads=threads)
    data = arrange(load_dataset("mnist"), config)
    events = train(TrainState(config, data, group=group), data)
    next(events)
    seconds = []
    for _ in range(STEPS):
        started = time.perf_counter()
        next(events)
        seconds.append(time.perf_counter() - started)
    return config.batch_size / sorted(seconds)[STEPS // 10]


def alone(threads: int) -> dict[str, Any]:
    """Of one process: the speed of `quick`, and with one thread the steps of each network."""
    found: dict[str, Any] = {"images": quick_speed(Group(), threads)}
    for name in NETWORKS if threads == 1 else ():
        config, shape = shipped(name)
        whole, quarter = (
            min(sum(parts.values()) for parts in step_seconds(config.replace(batch_size=size), shape, 3))
            for size in (config.batch_size, max(8, config.batch_size // 4))
        )
        model = build_model(config, shape)
        weights = sum(weight.numel() for weight in model.parameters())
        norms = sum(isinstance(module, _BatchNorm) for module in model.modules())
        found[name] = {"step": whole, "quarter": quarter, "bytes": 4 * weights, "norms": norms}
    return found


def together(group: Group) -> dict[str, Any]:
    """Of two processes: the speed of `quick`, an all-reduce of each network, and steps of half its batch."""
    found: dict[str, Any] = {"images": quick_speed(group, 1)}
    small = torch.zeros(1)
    found["message"] = fastest(lambda: group.sum(small), 200)
    for name in NETWORKS:
        config, shape = shipped(name)
        part = max(2, config.batch_size // 2)
        x, y = torch.rand(part, shape.channels, shape.height, shape.width), torch.arange(part) % shape.classes

        def step(model: torch.nn.Module, optimizer: torch.optim.Optimizer, share: Callable[[], object]) -> None:
            loss = training_loss(config, model, model(x), y)  # noqa: B023
            optimizer.zero_grad()
            loss.backward()
            share()
            optimizer.step()

        plain, wrapped, joint = (build_model(config, shape) for _ in range(3))
        numbers = torch.zeros(sum(weight.numel() for weight in plain.parameters()))
        synchronize_batch_norm(joint, group)
        optimizers = [make_optimizer(config, model) for model in (plain, wrapped, joint)]
        parallel = DistributedDataParallel(wrapped)
        parallel.first_dense = wrapped.first_dense  # for the penalty
        ways = {
            "reduce": lambda: group.sum(numbers),  # noqa: B023
            "ours": lambda: step(plain, optimizers[0], lambda: sum_gradients(plain, torch.zeros(3), group)),  # noqa: B023
            "ddp": lambda: step(parallel, optimizers[1], lambda: None),  # noqa: B023
            "norms": lambda: step(joint, optimizers[2], lambda: sum_gradients(joint, torch.zeros(3), group)),  # noqa: B023
        }
        found[name] = {way: fastest(act, 20 if way == "reduce" else 4) for way, act in ways.items()}
    return found


def measured(processes: int, threads: int) -> dict[str, Any]:
    """What a worker found, in processes of its own."""
    with tempfile.NamedTemporaryFile("r", suffix=".json") as file:
        launch = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes), "-m", "benchmarks.scaling"]
        subprocess.run(
            [sys.executable, *launch, file.name, str(threads)], cwd=ROOT, check=True, stderr=subprocess.DEVNULL
        )
        result: dict[str, Any] = json.loads(Path(file.name).read_text())
    return result


def predicted(name: str, one: dict[str, Any], message: float, machines: int, gigabits: float, weak: bool) -> float:
    """How many times as many images a second `machines` do as one does."""
    network, batch = one[name], shipped(name)[0].batch_size
    each = (network["step"] - network["quarter"]) / (batch - max(8, batch // 4))
    fixed = max(0.0, network["step"] - each * batch)
    compute = fixed + each * (batch if weak else batch / machines)
    latency = message / 2 + SWITCH_SECONDS  # of one message: two processes exchange two in an all-reduce
    ring = 2 * (machines - 1) / machines * network["bytes"] * 8 / (gigabits * 1e9) + 2 * (machines - 1) * latency
    short = (2 * network["norms"] + 1) * 2 * math.ceil(math.log2(machines)) * latency
    return network["step"] / (compute + ring + short) * (machines if weak else 1)


def report(one: dict[str, Any], both: dict[str, Any], two: dict[str, Any]) -> None:
    print("`quick`, images a second:\n\n| processes | threads each | images a second |\n|---|---|---|")
    for processes, threads, found in ((1, 1, one), (1, 2, both), (2, 1, two)):
        print(f"| {processes} | {threads} | {found['images']:,.0f} |")
    print()
    titles = [
        "network",
        "gradients",
        "images a batch",
        "step, 1 thread",
        "all-reduce, 2 processes",
        "share of half a step",
    ]
    titles += ["half a batch: as one message", "by DDP", "and batch norm together"]
    print(f"| {' | '.join(titles)} |\n|" + "---|" * len(titles))
    for name in NETWORKS:
        a, b = one[name], two[name]
        columns = [f"{a['bytes'] / 1000:,.0f} kB", shipped(name)[0].batch_size, f"{1000 * a['step']:.1f} ms"]
        columns += [f"{1000 * b['reduce']:.2f} ms", f"{100 * b['reduce'] / b['ours']:.1f} %"]
        columns += [f"{1000 * b[way]:.1f} ms" for way in ("ours", "ddp", "norms")]
        print(f"| `{name}` | {' | '.join(map(str, columns))} |")
    for weak in (False, True):
        print(f"\n{'The same batch a machine' if weak else 'The same batch in all'}: speed-up, predicted\n")
        print("| network | Gbit/s | " + " | ".join(map(str, MACHINES)) + " | efficiency below one half from |")
        print("|" + "---|" * (len(MACHINES) + 3))
        for name in NETWORKS:
            for gigabits in GIGABITS:
                gains = [predicted(name, one, two["message"], n, gigabits, weak) for n in MACHINES]
                counts = range(2, 4097)
                low = (n for n in counts if predicted(name, one, two["message"], n, gigabits, weak) < n / 2)
                end = next(low, 0)
                cells = " | ".join(f"{gain:.1f}" for gain in gains)
                print(f"| `{name}` | {gigabits} | {cells} | {end or 'more than 4,096'} |")
    print(f"\nOne small all-reduce of two processes here: {1e6 * two['message']:.0f} µs.")


def main() -> None:
    if len(sys.argv) > 2:
        with joined() as group:
            torch.set_num_threads(int(sys.argv[2]))
            found = together(group) if group.size > 1 else alone(int(sys.argv[2]))
            if group.main:
                Path(sys.argv[1]).write_text(json.dumps(found))
        return
    report(measured(1, 1), measured(1, 2), measured(2, 1))


if __name__ == "__main__":
    main()
