"""What does a setting change? Studies: every combination of a few settings' values, each trained with several seeds.

The same seed means the same split, the same first weights where shapes agree and the same order of images, so settings
are compared seed by seed (a paired test), which takes out what the seeds alone change.
"""

from __future__ import annotations

import itertools
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from mnist_core.comparison import has_numbers
from mnist_core.config import TrainConfig, parse_config
from mnist_core.errors import ConfigError, RunError
from mnist_core.files import read_json, write_json
from mnist_core.queue import Queue
from mnist_core.runs import EventReader, Run, create_run, open_run, runs_folder

STUDIES_FOLDER = ".studies"
MOST_RUNS = 200
METRICS = {
    "val_loss": "validation loss",
    "val_accuracy": "validation accuracy",
    "train_loss": "training loss",
    "test_accuracy": "test accuracy",
}
_ID = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{4}")


@dataclass(frozen=True)
class Factor:
    """One setting and the values to try, the first being the one that the others are compared with."""

    field: str
    values: list[Any]


@dataclass(frozen=True)
class Study:
    """A set of runs. `runs[i][k]` is the id of the run of `settings[i]` with `seeds[k]`."""

    id: str
    title: str
    base: dict[str, Any]
    factors: list[Factor]
    seeds: list[int]
    runs: list[list[str]]
    runs_dir: Path

    @property
    def settings(self) -> list[dict[str, Any]]:
        """One dict of field → value per setting; the first holds each factor's first value."""
        return _settings(self.factors)

    def run(self, setting: int, seed: int) -> Run | None:
        """The run of setting `setting` with the seed number `seed`; None where it was deleted."""
        try:
            return open_run(self.runs[setting][seed], self.runs_dir)
        except RunError:
            return None

    def all_runs(self) -> list[Run]:
        """The runs that are still there."""
        pairs = itertools.product(range(len(self.runs)), range(len(self.seeds)))
        return [run for pair in pairs if (run := self.run(*pair)) is not None]

    def progress(self) -> tuple[int, int]:
        """(runs that ended, runs in all)."""
        active = sum(run.status().active for run in self.all_runs())
        return len(self.runs) * len(self.seeds) - active, len(self.runs) * len(self.seeds)

    def cancel(self) -> None:
        """Takes the waiting runs out of the queue and stops the one that trains. Raises RunError."""
        queue = Queue(self.runs_dir)
        for run in self.all_runs():
            if not queue.cancel(run) and run.status().active:
                run.command("stop")


def _settings(factors: Sequence[Factor]) -> list[dict[str, Any]]:
    names = [factor.field for factor in factors]
    return [dict(zip(names, values, strict=True)) for values in itertools.product(*(f.values for f in factors))]


def setting_label(setting: dict[str, Any]) -> str:
    """`dropout 0.25, batch norm on`: a setting as a person says it."""
    words = {True: "on", False: "off"}
    return ", ".join(
        f"{name.replace('_', ' ')} {words[value] if isinstance(value, bool) else value}"
        for name, value in setting.items()
    )


def plan(base: TrainConfig, factors: Sequence[Factor], seeds: Sequence[int]) -> list[TrainConfig]:
    """Every training of the study: all settings with the first seed, then with the next. Raises ConfigError."""
    if not factors or any(len(factor.values) < 2 for factor in factors):
        raise ConfigError("An ablation compares at least two values of at least one setting.")
    if len({factor.field for factor in factors} - {"seed"}) < len(factors):
        raise ConfigError("An ablation's settings should differ from each other; seeds are given apart.")
    if not seeds or len(set(seeds)) < len(seeds):
        raise ConfigError("An ablation needs at least one seed, and each of them once.")
    settings = _settings(factors)
    if len(settings) * len(seeds) > MOST_RUNS:
        raise ConfigError(f"That would be {len(settings) * len(seeds)} runs; {MOST_RUNS} at most.")
    if any(settings.count(setting) > 1 for setting in settings):
        raise ConfigError("An ablation tries each value of a setting once.")
    return [base.replace(**setting, seed=seed) for seed in seeds for setting in settings]


def create_study(
    base: TrainConfig, factors: Sequence[Factor], seeds: Sequence[int], runs_dir: Path | str | None = None
) -> Study:
    """Creates and queues the runs: whoever has workers executes them. Raises ConfigError or RunError."""
    root = Path(runs_dir if runs_dir is not None else runs_folder())
    configs = plan(base, factors, seeds)
    # seed by seed, so that a study that is cut short still compares all settings
    runs = [create_run(config, root) for config in configs]
    settings = len(configs) // len(seeds)
    study = Study(
        f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}",
        f"{' and '.join(f.field.replace('_', ' ') for f in factors)} on {base.recipe}",
        base.model_dump(mode="json"),
        list(factors),
        list(seeds),
        [[runs[seed * settings + setting].id for seed in range(len(seeds))] for setting in range(settings)],
        root,
    )
    content = {name: value for name, value in asdict(study).items() if name not in ("id", "runs_dir")}
    try:
        (root / STUDIES_FOLDER).mkdir(parents=True, exist_ok=True)
        write_json(root / STUDIES_FOLDER / f"{study.id}.json", content)
    except OSError as error:
        raise RunError(f"The ablation cannot be written to {root.resolve()} ({error.strerror}).") from None
    queue = Queue(root)
    for run in runs:
        queue.add(run)
    return study


def open_study(study_id: str, runs_dir: Path | str | None = None) -> Study:
    """The study called `study_id`. Raises RunError when it is not there or damaged."""
    root = Path(runs_dir if runs_dir is not None else runs_folder())
    if not _ID.fullmatch(study_id):
        raise RunError(f"There is no ablation '{study_id[:100]}'.")
    try:
        content = read_json(root / STUDIES_FOLDER / f"{study_id}.json")
        study = TypeAdapter(Study).validate_python({**content, "id": study_id, "runs_dir": root})
        plan(parse_config(study.base), study.factors, study.seeds[:1])
        if [len(row) for row in study.runs] != [len(study.seeds)] * len(study.settings):
            raise ValueError
    except (OSError, ValueError, TypeError):
        raise RunError(f"The ablation {study_id} is not there, or its file is damaged.") from None
    return study


def list_studies(runs_dir: Path | str | None = None) -> list[Study]:
    """All readable studies, the newest first."""
    root = Path(runs_dir if runs_dir is not None else runs_folder())
    studies = []
    for path in sorted((root / STUDIES_FOLDER).glob("*.json"), reverse=True):
        try:
            studies.append(open_study(path.stem, root))
        except RunError:
            continue
    return studies


@dataclass(frozen=True, eq=False)
class SettingResult:
    """One setting over its finished seeds. `values[metric]` holds one number per seed in `seeds`.

    `curve_x` counts epochs; `curve` (seeds, epochs) holds the validation loss in nats after each.
    """

    setting: dict[str, Any]
    seeds: list[int]
    values: dict[str, list[float]]
    curve_x: np.ndarray
    curve: np.ndarray

    def mean(self, metric: str) -> float:
        return float(np.mean(self.values[metric])) if self.values[metric] else float("nan")

    def std(self, metric: str) -> float:
        """The sample standard deviation over seeds; NaN for fewer than two."""
        return float(np.std(self.values[metric], ddof=1)) if len(self.values[metric]) > 1 else float("nan")


@dataclass(frozen=True)
class Comparison:
    """A setting against the first one on one metric, paired over `seeds` seeds.

    `difference` is the mean of (setting - first), `low` to `high` its 95 % interval; `p` is of the paired t-test
    (NaN where it cannot be made), `p_corrected` after Holm's correction for the number of comparisons in the study.
    """

    setting: dict[str, Any]
    baseline: dict[str, Any]
    metric: str
    seeds: int
    difference: float
    low: float
    high: float
    p: float
    p_corrected: float

    @property
    def beyond_noise(self) -> bool:
        return self.p_corrected < 0.05

    @property
    def sentence(self) -> str:
        """The answer in plain words, with the test used."""
        what = f"{setting_label(self.setting)} against {setting_label(self.baseline)}"
        if self.seeds < 2:
            return f"{what}: too few seeds to tell a difference from noise; two at least, better five."
        percent = self.metric.endswith("accuracy")
        amount, low, high = (
            (f"{100 * v:+.2f} points" if percent else f"{v:+.4f}") for v in (self.difference, self.low, self.high)
        )
        if np.isnan(self.p):
            return (
                f"{what}: {METRICS[self.metric]} {amount} with each of {self.seeds} seeds. Without any spread between "
                "them no test can be made."
            )
        verdict = "more than seed noise" if self.beyond_noise else "not more than seed noise"
        return (
            f"{what}: {METRICS[self.metric]} {amount} (95 % interval {low} to {high}; paired t-test over {self.seeds} "
            f"seeds, p = {self.p_corrected:.2g} after Holm's correction): {verdict}."
        )


@dataclass(frozen=True)
class Analysis:
    settings: list[SettingResult]
    comparisons: list[Comparison]


def analyse(study: Study, metric: str = "val_loss") -> Analysis:
    """What the finished runs say. `metric` (of METRICS) is taken at the end of each run.

    Student's paired t-test (scipy.stats.ttest_rel) over the seeds that both settings have finished; p-values after
    Holm (1979) for as many comparisons as there are settings besides the first.
    """
    results = [_result(study, index) for index in range(len(study.settings))]
    return Analysis(results, _compare(results, metric))


def _result(study: Study, index: int) -> SettingResult:
    seeds, curves, values = [], [], {metric: [] for metric in METRICS}
    for place, seed in enumerate(study.seeds):
        run = study.run(index, place)
        if run is None or run.status().state != "completed":
            continue
        events = EventReader(run).read()
        epochs = [
            e for e in events if e["event"] == "epoch" and has_numbers(e, "train_loss", "val_loss", "val_accuracy")
        ]
        ends = [e for e in events if e["event"] == "end" and has_numbers(e, "test_accuracy")]
        if not epochs or not ends:
            continue
        last = {**epochs[-1], "test_accuracy": ends[-1]["test_accuracy"]}
        seeds.append(seed)
        curves.append([event["val_loss"] for event in epochs])
        for metric, column in values.items():
            column.append(float(last[metric]))
    length = min(map(len, curves), default=0)
    curve = np.array([row[:length] for row in curves]).reshape(len(curves), length)
    return SettingResult(study.settings[index], seeds, values, np.arange(1, length + 1), curve)


def _compare(results: list[SettingResult], metric: str) -> list[Comparison]:
    from scipy.stats import ttest_rel

    first, found = results[0], []
    for other in results[1:]:
        shared = [seed for seed in other.seeds if seed in first.seeds]
        ours = [other.values[metric][other.seeds.index(seed)] for seed in shared]
        theirs = [first.values[metric][first.seeds.index(seed)] for seed in shared]
        difference = float(np.mean(np.subtract(ours, theirs))) if shared else float("nan")
        low = high = p = float("nan")
        if len(shared) > 1 and np.ptp(np.subtract(ours, theirs)) > 1e-12:  # more than rounding
            test = ttest_rel(ours, theirs)
            interval = test.confidence_interval(0.95)
            low, high, p = float(interval.low), float(interval.high), float(test.pvalue)
        found.append((other.setting, len(shared), difference, low, high, p))
    corrected = _holm([row[-1] for row in found])
    return [
        Comparison(setting, first.setting, metric, *numbers, p_corrected)
        for (setting, *numbers), p_corrected in zip(found, corrected, strict=True)
    ]


def _holm(p_values: list[float]) -> list[float]:
    """Holm's step-down correction; NaN stays NaN and counts for nothing."""
    corrected = list(p_values)
    order = sorted((i for i, p in enumerate(p_values) if not np.isnan(p)), key=lambda i: p_values[i])
    largest = 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, p_values[index] * (len(order) - place)))
        corrected[index] = largest
    return corrected
