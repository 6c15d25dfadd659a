"""analyse(study) → results of its settings with error bars, and which differences are more than seed noise."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mnist_core.experiments.ablation import Study, setting_label
from mnist_core.experiments.seeds import Spread, spread
from mnist_core.inference.interval import accuracy_interval, interval_text
from mnist_core.runs.history import EventReader, latest

METRICS = {
    "val_loss": "validation loss",
    "val_accuracy": "validation accuracy",
    "train_loss": "training loss",
    "test_accuracy": "test accuracy",
}


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
    images: dict[str, int] = field(default_factory=dict)  # accuracy → how many it was measured on, where recorded

    def interval(self, metric: str) -> str:
        """The 95 % interval of an accuracy's mean in percent, by the number of images; empty where that is unknown."""
        known = self.values[metric] and metric in self.images
        return interval_text(accuracy_interval(self.mean(metric), self.images[metric])) if known else ""

    def mean(self, metric: str) -> float:
        return self.spread(metric).mean

    def std(self, metric: str) -> float:
        """The sample standard deviation over seeds; NaN for fewer than two."""
        return self.spread(metric).std

    def spread(self, metric: str) -> Spread:
        return spread(self.values[metric])


@dataclass(frozen=True)
class Comparison:
    """A setting against a baseline on one metric, paired over `seeds` seeds.

    `difference` is the mean of (setting - baseline), `low` to `high` its 95 % interval; `p` is of the paired t-test
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
        conclusion = "more than seed noise" if self.beyond_noise else "not more than seed noise"
        return (
            f"{what}: {METRICS[self.metric]} {amount} (95 % interval {low} to {high}; paired t-test over {self.seeds} "
            f"seeds, p = {self.p_corrected:.2g} after Holm's correction): {conclusion}."
        )


@dataclass(frozen=True)
class Analysis:
    """`comparisons` set each setting against the first; with two factors or more, `main_effects` set each value of a
    factor against its first value, averaged over the settings of the others: more runs say more."""

    settings: list[SettingResult]
    comparisons: list[Comparison]
    main_effects: list[Comparison]


def analyse(study: Study, metric: str = "val_loss") -> Analysis:
    """What the finished runs say. `metric` (of METRICS) is taken at the end of each run.

    Student's paired t-test (scipy.stats.ttest_rel) over the seeds that both sides have finished; p-values after Holm
    (1979) for as many comparisons as stand in the same list.
    """
    results = [_result(study, index) for index in range(len(study.settings))]
    first = results[0]
    comparisons = [(other.setting, first.setting, _paired([other], [first], metric)) for other in results[1:]]
    effects = []
    for factor in study.factors if len(study.factors) > 1 else []:
        groups = [[r for r in results if r.setting[factor.field] == value] for value in factor.values]
        effects += [
            ({factor.field: value}, {factor.field: factor.values[0]}, _paired(group, groups[0], metric))
            for value, group in zip(factor.values[1:], groups[1:], strict=True)
        ]
    return Analysis(results, _corrected(comparisons, metric), _corrected(effects, metric))


_Difference = tuple[int, float, float, float, float]  # seeds, mean, lower and upper end of its 95 % interval, p


def _result(study: Study, index: int) -> SettingResult:
    seeds, curves, images = [], [], {}
    values: dict[str, list[float]] = {metric: [] for metric in METRICS}
    for place, seed in enumerate(study.seeds):
        run = study.run(index, place)
        if run is None or run.status().state != "completed":
            continue
        events = EventReader(run).read()
        epochs = [event for event in events if event["event"] == "epoch"]
        test_accuracy = latest(events, "end", "test_accuracy")
        if not epochs or test_accuracy is None:
            continue
        last = {**epochs[-1], "test_accuracy": test_accuracy}
        for part in ("val", "test"):
            if count := latest(events, "end", f"{part}_images"):
                images[f"{part}_accuracy"] = int(count)
        seeds.append(seed)
        curves.append([event["val_loss"] for event in epochs])
        for metric, column in values.items():
            column.append(float(last[metric]))
    length = min(map(len, curves), default=0)
    curve = np.array([row[:length] for row in curves]).reshape(len(curves), length)
    return SettingResult(study.settings[index], seeds, values, np.arange(1, length + 1), curve, images)


def _by_seed(group: list[SettingResult], metric: str) -> dict[int, float]:
    """Seed → the metric's mean over the settings of `group`, for the seeds that all of them have finished."""
    shared = set.intersection(*(set(result.seeds) for result in group))
    return {
        seed: float(np.mean([result.values[metric][result.seeds.index(seed)] for result in group]))
        for seed in sorted(shared)
    }


def _paired(group: list[SettingResult], baseline: list[SettingResult], metric: str) -> _Difference:
    """`group` against `baseline`, paired by seed."""
    from scipy.stats import ttest_rel

    ours, theirs = _by_seed(group, metric), _by_seed(baseline, metric)
    shared = [seed for seed in ours if seed in theirs]
    differences = [ours[seed] - theirs[seed] for seed in shared]
    nothing = float("nan")
    if len(shared) < 2 or np.ptp(differences) < 1e-12:  # no more than rounding
        return len(shared), float(np.mean(differences)) if shared else nothing, nothing, nothing, nothing
    test = ttest_rel([ours[seed] for seed in shared], [theirs[seed] for seed in shared])
    low, high = test.confidence_interval(0.95)
    return len(shared), float(np.mean(differences)), float(low), float(high), float(test.pvalue)


def _corrected(found: list[tuple[dict[str, Any], dict[str, Any], _Difference]], metric: str) -> list[Comparison]:
    p_values = holm_correction([difference[-1] for _, _, difference in found])
    return [
        Comparison(setting, baseline, metric, *difference, p_corrected)
        for (setting, baseline, difference), p_corrected in zip(found, p_values, strict=True)
    ]


def holm_correction(p_values: list[float]) -> list[float]:
    """p-values after Holm's step-down correction (1979); NaN stays NaN and counts for nothing."""
    corrected = list(p_values)
    order = sorted((i for i, p in enumerate(p_values) if not np.isnan(p)), key=lambda i: p_values[i])
    largest = 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, p_values[index] * (len(order) - place)))
        corrected[index] = largest
    return corrected
