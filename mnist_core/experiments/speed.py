"""bench(seeds) → the time to 99 % on MNIST against the usual way to train, both in one run on this machine."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median, stdev

import torch

from mnist_core.config import TrainConfig
from mnist_core.data.dataset import Dataset
from mnist_core.data.loading import load_dataset
from mnist_core.inference.interval import accuracy_interval, accuracy_text, interval_text
from mnist_core.models.classifier import build_model, infer
from mnist_core.recipes import get_recipe
from mnist_core.training.loop import processor, train
from mnist_core.training.loss import has_bfloat16, training_loss
from mnist_core.training.optim import learning_rate_at, make_optimizer
from mnist_core.training.profile import PARTS, step_seconds
from mnist_core.training.state import TrainState
from mnist_core.training.validation import loss_and_accuracy

TARGET = 0.99  # of the test images
MOST_EPOCHS = 8  # of the usual training: it is given up then
STEPS = 60  # of which the breakdown takes the medians


@dataclass(frozen=True)
class Trained:
    """One training of `quick`: test accuracy in [0, 1], and its seconds, validation included."""

    seed: int
    accuracy: float
    seconds: float


@dataclass(frozen=True)
class Baseline:
    """The usual training up to the end of an epoch: test accuracy in [0, 1], and its seconds, tests excluded."""

    epoch: int
    accuracy: float
    seconds: float


@dataclass(frozen=True)
class Bench:
    """What `bench` measured. `parts` are milliseconds of a step of `quick`; rates are in 10⁹ operations a second."""

    quick: list[Trained]
    usual: list[Baseline]
    parts: dict[str, float]
    step_rate: float
    product_rate: float
    machine: str
    test_images: int

    @property
    def ratio(self) -> float | None:
        """How many times sooner `quick` is done than the usual training reaches TARGET; None if that did not."""
        reached = self.usual and self.usual[-1].accuracy >= TARGET
        return self.usual[-1].seconds / mean(run.seconds for run in self.quick) if reached else None


def bench(seeds: Sequence[int], data_dir: Path, say: Callable[[str], None] = lambda sentence: None) -> Bench:
    """Trains `quick` with each seed, then `three-conv` as its authors did until its first epoch of 99 %.

    `say` hears each result as it comes. Raises DataError when MNIST is not there.
    """
    data = load_dataset("mnist", data_dir)
    images = len(data.test_labels)
    trained = []
    for seed in seeds:
        trained.append(_quick(seed, data))
        say(f"quick, seed {seed}: test {accuracy_text(trained[-1].accuracy, images)} after {trained[-1].seconds:.2f} s")
    usual = []
    for done in baseline_training(data_dir, data):
        usual.append(done)
        right = accuracy_text(done.accuracy, images)
        say(f"the usual training, epoch {done.epoch}: test {right} after {done.seconds:.1f} s")
        if done.accuracy >= TARGET or done.epoch == MOST_EPOCHS:
            break
    config = get_recipe("quick").config("mnist")
    steps = step_seconds(config, data.shape, STEPS)
    parts = {name: 1e3 * median(step[name] for step in steps) for name in PARTS}
    operations = 3 * multiplications(config, data) * 2 * config.batch_size  # forward, and twice that backward
    where = f"{os.cpu_count()} cores, {processor(torch.device('cpu'))}, {torch.get_num_threads()} threads"
    return Bench(
        trained,
        usual,
        parts,
        operations / (parts["forward"] + parts["backward"]) / 1e6,
        _product_rate(),
        f"{platform.machine()}, {where}" + (", bfloat16" if has_bfloat16(torch.device("cpu")) else ", float32"),
        images,
    )


def _quick(seed: int, data: Dataset) -> Trained:
    state = TrainState(get_recipe("quick").config("mnist").replace(seed=seed), data)
    for _ in train(state, data):
        pass
    _, accuracy = loss_and_accuracy(infer(state.best_model, data.test_images), data.test_labels)
    return Trained(seed, accuracy, state.seconds)


def baseline_training(data_dir: Path, data: Dataset) -> Iterator[Baseline]:
    """`three-conv` as the third earlier system trained it: a DataLoader that transforms image by image, all 60,000.

    It watched test accuracy, epoch by epoch, and so does this, since it is the time of an earlier system that is
    measured and no model that is chosen.
    """
    from torch.utils.data import DataLoader
    from torchvision import datasets, transforms

    config = get_recipe("three-conv").config("mnist")
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
    images = datasets.MNIST(str(data_dir), train=True, transform=transform)
    loader = DataLoader(images, batch_size=config.batch_size, shuffle=True)
    torch.manual_seed(config.seed)
    # the lab's own layout in memory, the faster one, is no part of the usual way
    model = build_model(config, data.shape).to(memory_format=torch.contiguous_format)
    judge = build_model(config, data.shape, [0.1307], [0.3081])
    optimizer, seconds = make_optimizer(config, model), 0.0
    for epoch in range(config.epochs):
        started = time.perf_counter()
        model.train()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate_at(config, epoch * len(loader), len(loader))
        for x, y in loader:
            loss = training_loss(config, model, model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        seconds += time.perf_counter() - started
        judge.load_state_dict(model.state_dict())
        _, accuracy = loss_and_accuracy(infer(judge, data.test_images), data.test_labels)
        yield Baseline(epoch + 1, accuracy, seconds)


def multiplications(config: TrainConfig, data: Dataset) -> int:
    """Multiply-adds of the network's convolutions and dense layers for one image."""
    model, counted = build_model(config, data.shape), list[int]()

    def count(
        module: torch.nn.Conv2d | torch.nn.Linear, _inputs: tuple[torch.Tensor, ...], output: torch.Tensor
    ) -> None:
        places = output[0, 0].numel() if output.dim() == 4 else 1
        counted.append(module.weight.numel() * places)

    layers = [m for m in model.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    with torch.no_grad():
        model.eval()(torch.zeros(1, data.shape.channels, data.shape.height, data.shape.width))
    for hook in hooks:
        hook.remove()
    return sum(counted)


def _product_rate(side: int = 2048) -> float:
    """10⁹ operations a second of a large matrix product, in the precision of `quick`: what the processor can do."""
    kind = torch.bfloat16 if has_bfloat16(torch.device("cpu")) else torch.float32
    a, b = torch.rand(side, side).to(kind), torch.rand(side, side).to(kind)
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        a @ b
        seconds.append(time.perf_counter() - started)
    return 2 * side**3 / min(seconds) / 1e9


def report(result: Bench) -> str:
    """The figures as a few lines of text."""
    accuracies, seconds = [run.accuracy for run in result.quick], [run.seconds for run in result.quick]
    of_mean = f"95 % interval of the mean {interval_text(accuracy_interval(mean(accuracies), result.test_images))}"
    spread = f" ± {stdev(accuracies):.3%}" if len(accuracies) > 1 else ""
    lines = [
        f"quick: test {mean(accuracies):.3%}{spread} (mean ± standard deviation of {len(accuracies)} seeds, lowest "
        f"{min(accuracies):.2%}; {of_mean}); {mean(seconds):.2f} s of training (mean; longest {max(seconds):.2f} s)",
    ]
    last = result.usual[-1]
    usual = accuracy_text(last.accuracy, result.test_images)
    if result.ratio is None:
        lines.append(f"the usual training had {usual} after {last.epoch} epochs, {last.seconds:.1f} s")
    else:
        lines.append(
            f"three-conv as its authors trained it: {usual} after {last.epoch} epochs, {last.seconds:.1f} s"
            f"; quick is done {result.ratio:.1f} times sooner"
        )
    total = sum(result.parts.values())
    lines.append(
        f"a step of quick, {total:.2f} ms: "
        + ", ".join(f"{name} {value / total:.0%}" for name, value in result.parts.items())
    )
    lines.append(
        f"its convolutions run at {result.step_rate:.0f} billion operations a second, a large matrix product at "
        f"{result.product_rate:.0f}"
    )
    return "\n".join([*lines, f"({result.machine})"])
