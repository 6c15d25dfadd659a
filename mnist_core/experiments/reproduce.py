"""reproduce(claims, seeds) → rows: what the earlier systems claimed, and what their recipes measure here.

Every training is an ordinary run in the runs folder. Asked again, finished runs are read, interrupted ones go on, and
only what is missing is trained. The test images are read once per run, at its end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from mnist_core.config import TrainConfig
from mnist_core.data.dataset import dataset_title
from mnist_core.data.loading import load_dataset
from mnist_core.data.prepare import load_for
from mnist_core.errors import ConfigError, DataError, LabError, RunError, RunFailedError
from mnist_core.experiments.seeds import spread
from mnist_core.inference.interval import accuracy_interval, interval_text
from mnist_core.inference.metrics import cross_entropy, summarize
from mnist_core.inference.network import Network
from mnist_core.models.checkpoint import load_checkpoint
from mnist_core.recipes import get_recipe
from mnist_core.runs.history import EventReader, recorded_changes
from mnist_core.runs.pool import WorkerPool
from mnist_core.runs.queue import Queue
from mnist_core.runs.run import Run, create_run, list_runs
from mnist_core.system.files import read_json, write_json
from mnist_core.system.resources import resource

KEPT = resource("docs/reproduction.json")
"""The table that ships with the lab and is shown on the Compare page."""
METRIC_BATCH = 64  # images in a batch of the fourth system, whose loss is a sum of batch means ÷ number of images
POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Claim:
    """What an earlier system said of one recipe: `at_least` and `at_most` bound the mean over seeds of a metric."""

    recipe: str
    said: str
    dataset: str = "mnist"
    at_least: dict[str, float] = field(default_factory=dict)
    at_most: dict[str, float] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    def config(self, seed: int, dataset: str) -> TrainConfig:
        return get_recipe(self.recipe).config(dataset).replace(**self.settings, seed=seed)


_DENSE = "97.2 % test"
CLAIMS = (
    Claim("two-conv", "no figure"),
    Claim("two-conv", "no figure (this lab's aim: 70 %)", "cifar10", {"test_accuracy": 0.70}),
    Claim("compact-20k", "99.52 % test, its best epoch on test", "mnist", {"test_accuracy": 0.9952}),
    Claim("three-conv", "> 99 % test within 5 epochs", "mnist", {"test_accuracy": 0.99}, settings={"epochs": 5}),
    Claim("three-conv", "no figure for all 10 epochs"),
    Claim(
        "mlp-baseline", "97.42 % test, loss 0.0013", "mnist", {"test_accuracy": 0.9742}, {"batch_mean_loss": 0.00135}
    ),
    Claim(
        "two-conv-fc3", "98.88 % test, loss 0.0006", "mnist", {"test_accuracy": 0.9888}, {"batch_mean_loss": 0.00065}
    ),
    *(
        Claim(name, _DENSE, "mnist", {"test_accuracy": 0.972})
        for name in ("dense-plain", "dense-l2", "dense-dropout", "dense-l2-dropout")
    ),
    Claim("colour", "none: this lab's own (aim: 88 %)", "cifar10", {"test_accuracy": 0.88}),
)

ORIGINS = {
    "two-conv": (
        "The first earlier system: all images pooled and split 80/10/10. Free there: batch size 128, 5 "
        "epochs. On colour pictures it overfits within a few epochs: there it gets batch norm, dropout, "
        "mirrored and shifted images and a one-cycle schedule up to 0.002, and the epoch that is best on "
        "validation is kept."
    ),
    "compact-20k": (
        "The second earlier system. Free there: channel counts (here 19,586 parameters, at most its 19,865), "
        "batch size 64, rotation up to 10°, resize up to 10 %. It watched test accuracy; 2,000 images are "
        "held out here."
    ),
    "three-conv": (
        "The third earlier system. Free there: the step of its schedule (every 3 epochs) and the normalisation."
    ),
    "mlp-baseline": ("The fourth earlier system's baseline, as described."),
    "two-conv-fc3": ("The fourth earlier system's CNN, as described."),
    **dict.fromkeys(
        ("dense-plain", "dense-l2", "dense-dropout", "dense-l2-dropout"),
        "The fifth earlier system: 30 % of the training images held out. Free there: the widths 512, 256, "
        "128, Adam at 0.001, the strengths of L2 (0.0001) and dropout (0.3).",
    ),
}
"""Recipe → the earlier system that it reproduces, and the choices that its source leaves open."""


@dataclass(frozen=True)
class Row:
    """One claim and its measurements: a list per metric with a value per seed. Accuracies in [0, 1], times in s."""

    recipe: str
    dataset: str
    said: str
    settings: dict[str, Any]
    at_least: dict[str, float]
    at_most: dict[str, float]
    parameters: int
    seeds: list[int]
    measured: dict[str, list[float]]
    machine: str
    test_images: int | None = None  # that each training was judged on; not recorded by earlier versions

    @property
    def changes(self) -> str:
        """The settings that differ from the recipe, as text behind its name: `, epochs 5`, or nothing."""
        return "".join(f", {name} {value}" for name, value in self.settings.items())

    def mean(self, metric: str) -> float:
        return spread(self.measured[metric]).mean

    def std(self, metric: str) -> float:
        """The sample standard deviation over seeds; 0 for a single one."""
        return spread(self.measured[metric]).std if len(self.seeds) > 1 else 0.0

    @property
    def accuracy(self) -> str:
        """Test accuracy as text: mean ± standard deviation, number of seeds."""
        if len(self.seeds) == 1:
            return f"{self.mean('test_accuracy'):.2%} (1 seed)"
        return f"{self.mean('test_accuracy'):.2%} ± {self.std('test_accuracy'):.2%} ({len(self.seeds)} seeds)"

    @property
    def interval(self) -> str:
        """The 95 % interval of the mean test accuracy in percent, by the number of test images; empty if unknown."""
        return (
            interval_text(accuracy_interval(self.mean("test_accuracy"), self.test_images)) if self.test_images else ""
        )

    @property
    def outcome(self) -> str:
        """`met` when the mean over seeds keeps every bound, `missed` when not, `no figure` when there is none."""
        bounds = [self.mean(metric) >= figure for metric, figure in self.at_least.items()]
        bounds += [self.mean(metric) <= figure for metric, figure in self.at_most.items()]
        return "no figure" if not bounds else "met" if all(bounds) else "missed"


def chosen_claims(recipes: Sequence[str] | None = None) -> list[Claim]:
    """All claims, or those of `recipes`. Raises ConfigError for a recipe of which nothing was claimed."""
    known = {claim.recipe for claim in CLAIMS}
    for name in recipes or ():
        if name not in known:
            raise ConfigError(f"'{name}' reproduces nothing; these do: {', '.join(sorted(known))}.")
    return [claim for claim in CLAIMS if not recipes or claim.recipe in recipes]


def reproduce(
    claims: Sequence[Claim],
    seeds: Sequence[int],
    runs_dir: Path,
    data_dir: Path,
    cifar10: str = "cifar10",
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[Row], list[str]]:
    """(rows, a sentence for each claim that could not be tried). `cifar10` is the dataset that stands for CIFAR-10.

    `progress` is called with (epochs finished, epochs in all). Interrupted, it stops its runs in a way that lets the
    next call go on with them. Raises RunError when a run cannot be created, RunFailedError when one does not end well.
    """
    wanted, skipped = [], []
    for claim in claims:
        dataset = cifar10 if claim.dataset == "cifar10" else claim.dataset
        try:
            load_dataset(dataset, data_dir)
        except DataError as error:
            skipped.append(f"{claim.recipe} on {claim.dataset}: {error}")
            continue
        wanted.append((claim, [find_or_create_run(claim.config(seed, dataset), runs_dir) for seed in seeds]))
    finish_runs([run for _, runs in wanted for run in runs], runs_dir, data_dir, progress or (lambda *_: None))
    return [_row(claim, list(seeds), runs, data_dir) for claim, runs in wanted], skipped


def _row(claim: Claim, seeds: list[int], runs: list[Run], data_dir: Path) -> Row:
    measured = [_measure(run, data_dir) for run in runs]
    images = [values.pop("test_images") for values in measured]
    events = EventReader(runs[0]).read()
    processor = next((event.get("processor", "") for event in events if event["event"] == "start"), "")
    return Row(
        claim.recipe,
        dataset_title(runs[0].config().dataset),
        claim.said,
        claim.settings,
        claim.at_least,
        claim.at_most,
        int(measured[0].pop("parameters")),
        seeds,
        {metric: [values[metric] for values in measured] for metric in measured[0]},
        processor or "unknown",
        int(images[0]),
    )


def find_or_create_run(config: TrainConfig, runs_dir: Path) -> Run:
    """The run of exactly this configuration that came farthest, or a new one. Raises RunError."""
    order = {state: place for place, state in enumerate(("completed", "running", "paused", "queued", "stopped"))}
    same = [run for run in list_runs(runs_dir) if _has(run, config) and run.status().state != "failed"]
    return min(same, key=lambda run: order.get(run.status().state, len(order)), default=None) or create_run(
        config, runs_dir
    )


def _has(run: Run, config: TrainConfig) -> bool:
    try:
        # one whose settings were changed on the way is another training
        return run.config() == config and not recorded_changes(run.metrics_path)
    except LabError:
        return False


def finish_runs(runs: list[Run], runs_dir: Path, data_dir: Path, progress: Callable[[int, int], None]) -> None:
    """Trains what is not complete, as many at once as MNIST_LAB_PARALLEL says.

    `progress` is called with (epochs finished, epochs in all). Raises RunFailedError when a run does not end well.
    """
    readers = [EventReader(run) for run in runs]
    total = sum(run.config().epochs for run in runs)
    pool, queue = WorkerPool(runs_dir, data_dir), Queue(runs_dir)
    pending = [run for run in runs if run.status().state != "completed"]
    try:
        for run in pending:
            if run not in queue and not run.is_executed():
                run.command("run")
                run.set_status("queued")
                pool.start(run)
        if pending:
            pool.warm()  # for those that wait already: nobody else may be there to take them
        while any(run.status().active for run in pending):
            progress(sum(sum(e["event"] == "epoch" for e in reader.read()) for reader in readers), total)
            time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        for run in pending:
            if not queue.remove(run) and run.status().active:
                run.command("stop")
        raise
    finally:
        pool.close()
    for run in pending:
        status = run.status()
        if status.state != "completed":
            raise RunFailedError(f"The run {run.id} is {status.state}. {status.reason}".strip())
    progress(total, total)


def _measure(run: Run, data_dir: Path) -> dict[str, float]:
    """What a finished run reached on its test images; the original metrics of the earlier systems among it."""
    folder = run.checkpoint()
    if folder is None:
        raise RunError(f"Run {run.id} is complete and has no checkpoint: delete it and reproduce again.")
    checkpoint = load_checkpoint(folder)
    # the earlier systems judged their losses uncalibrated
    card = checkpoint.card.model_copy(update={"temperature": 1.0})
    data = load_for(run.config(), data_dir)
    logits = Network(replace(checkpoint, card=card)).infer(data.test_images)
    judged = summarize(logits, data.test_labels)
    starts = range(0, len(logits), METRIC_BATCH)
    parts = [slice(start, start + METRIC_BATCH) for start in starts]
    batch_means = [cross_entropy(logits[part], data.test_labels[part]) for part in parts]
    return {
        "test_accuracy": judged.accuracy,
        "test_images": len(data.test_labels),
        "test_loss": judged.loss,
        "weighted_f1": judged.weighted_f1,
        "batch_mean_loss": sum(batch_means) / len(data.test_labels),
        "val_accuracy": checkpoint.card.metrics["val_accuracy"],
        "train_seconds": checkpoint.card.train_seconds,
        "parameters": checkpoint.card.parameters,
    }


def save_rows(rows: Sequence[Row], path: Path = KEPT) -> None:
    """Writes the table as JSON; rows of the same claim that are there already are replaced. Raises OSError."""
    fresh = {(row.recipe, row.dataset, str(row.settings)) for row in rows}
    kept = [row for row in load_rows(path) if (row.recipe, row.dataset, str(row.settings)) not in fresh]
    order = [claim.recipe for claim in CLAIMS]
    merged = sorted([*kept, *rows], key=lambda row: order.index(row.recipe) if row.recipe in order else len(order))
    write_json(path, [asdict(row) for row in merged])


def load_rows(path: Path = KEPT) -> list[Row]:
    """The table that was kept; empty where there is none or it is damaged."""
    try:
        return TypeAdapter(list[Row]).validate_python(read_json(path))
    except (OSError, ValueError):
        return []


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table: claimed, measured mean ± standard deviation over seeds, outcome."""
    lines = [
        "| recipe | data | claimed | measured: test accuracy | 95 % interval ² | weighted F1 | loss ¹ | parameters "
        "| seconds | outcome |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(
            f"| `{row.recipe}`{row.changes} | {row.dataset} | {row.said} "
            f"| {row.accuracy} | {row.interval or '–'} | {row.mean('weighted_f1'):.4f} "
            f"| {row.mean('batch_mean_loss'):.5f} | {row.parameters:,} | {row.mean('train_seconds'):.0f} "
            f"| {row.outcome} |"
        )
    places = sorted({row.machine for row in rows})
    lines += [
        "",
        f"¹ sum of the means of batches of {METRIC_BATCH} ÷ number of images. Trained on: {'; '.join(places)}.",
        "² of the mean, in percent (Wilson): what other test images could give; ± is what other seeds could.",
    ]
    return "\n".join(lines)
