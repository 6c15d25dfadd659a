"""One configuration, several seeds: creates such runs, finds those that are here, and says how far their figures vary.

A seed decides the first weights, the order of the images, what augmentation draws, and which images are held out. So
one training is one draw of many, and its accuracy has a spread that only other seeds show.
"""

from __future__ import annotations

import functools
import math
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from mnist_core.config import TrainConfig, field_range
from mnist_core.errors import ConfigError, LabError
from mnist_core.runs.history import recorded_changes
from mnist_core.runs.limits import check_limits
from mnist_core.runs.lines import parse_event
from mnist_core.runs.queue import Queue
from mnist_core.runs.run import Run, create_run
from mnist_core.system.settings import runs_folder

USUAL_SEEDS = 5
MOST_SEEDS = 10
_END_BYTES = 2**16  # of a log, in which the event of its end surely is
_ORDER = ("completed", "running", "paused", "queued", "stopped")  # which of two runs of one seed counts


# ---- figures over seeds ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Spread:
    """A figure over several trainings. `std` is the sample standard deviation (n - 1).

    `low` to `high` is the 95 % interval of the mean by Student's t: where the mean over very many seeds would lie. It
    says nothing of other images (see inference/interval.py for these). Fewer than two values have no spread: NaN.
    """

    values: tuple[float, ...]
    mean: float
    std: float
    low: float
    high: float

    def text(self, percent: bool = False) -> str:
        """`98.61 ± 0.07 %` or `0.0471 ± 0.0021`: mean and standard deviation; a dash where there is no value."""
        if not self.values:
            return "–"
        factor, form, unit = (100, ".2f", " %") if percent else (1, ".4f", "")
        spread = "" if math.isnan(self.std) else f" ± {factor * self.std:{form}}"
        return f"{factor * self.mean:{form}}{spread}{unit}"

    def interval(self, percent: bool = False) -> str:
        """`98.52–98.70` in percent, cut at 0 and 100, or `0.0445–0.0497`; empty for fewer than two values."""
        if math.isnan(self.low):
            return ""
        if percent:  # an accuracy near 100 % is not spread evenly, which t does not know
            return f"{100 * max(self.low, 0):.2f}–{100 * min(self.high, 1):.2f}"
        return f"{self.low:.4f}–{self.high:.4f}"


def spread(values: Iterable[float]) -> Spread:
    """Mean, sample standard deviation and 95 % t-interval of the mean: mean ± t(0.975; n - 1) · std / √n."""
    found, nothing = tuple(float(value) for value in values), math.nan
    if len(found) < 2:
        return Spread(found, found[0] if found else nothing, nothing, nothing, nothing)
    from scipy.special import stdtrit

    centre, deviation = mean(found), stdev(found)
    half = float(stdtrit(len(found) - 1, 0.975)) * deviation / math.sqrt(len(found))
    return Spread(found, centre, deviation, centre - half, centre + half)


# ---- making such runs -----------------------------------------------------------------------------------------------


def next_seeds(first: int, count: int) -> list[int]:
    """`count` seeds from `first` on; behind the highest allowed comes 0."""
    return [(first + place) % (field_range("seed")[1] + 1) for place in range(count)]


def seed_configs(config: TrainConfig, seeds: Sequence[int]) -> list[TrainConfig]:
    """`config` once for each of the `seeds`. Raises ConfigError where there is none, or one twice."""
    if not seeds or len(set(seeds)) < len(seeds):
        raise ConfigError("Trainings that differ by their seed need at least one seed, and each of them once.")
    return [config.replace(seed=seed) for seed in seeds]


def create_runs(configs: Sequence[TrainConfig], runs_dir: Path | str | None = None, owner: str = "") -> list[Run]:
    """A run for each configuration, within the limits, none of them queued yet. Raises ConfigError or RunError; then
    no run is left."""
    root = Path(runs_dir if runs_dir is not None else runs_folder())
    check_limits(configs, root)
    made: list[Run] = []
    try:
        for config in configs:
            made.append(create_run(config, root, owner))
    except LabError:
        for run in made:
            shutil.rmtree(run.folder, ignore_errors=True)
        raise
    return made


def queue_runs(runs: Sequence[Run]) -> None:
    """Puts the runs at the end of the queue, in order, for workers to execute. Raises RunError."""
    for run in runs:
        Queue(run.folder.parent).add(run)


def create_seed_runs(
    config: TrainConfig, seeds: Sequence[int], runs_dir: Path | str | None = None, owner: str = ""
) -> list[Run]:
    """Creates and queues a run of `config` for each seed, in their order. Raises ConfigError or RunError."""
    runs = create_runs(seed_configs(config, seeds), runs_dir, owner)
    queue_runs(runs)
    return runs


# ---- finding them ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SeedGroup:
    """Runs that differ by their seed alone, in the order in which they were given.

    `counted` has one run per seed, by the seeds' size: a training that is repeated with its own seed gives the same
    again and is no further draw. Where a seed has several runs it is the one that came farthest.
    """

    runs: tuple[Run, ...]
    counted: tuple[Run, ...]
    seeds: tuple[int, ...]

    @property
    def seeds_text(self) -> str:
        """`5 seeds (0–4)`, or the seeds one by one where they do not follow each other."""
        follow = self.seeds == tuple(range(self.seeds[0], self.seeds[0] + len(self.seeds)))
        apart = ", ".join(map(str, self.seeds)) if len(self.seeds) <= MOST_SEEDS else "…"
        told = f"{self.seeds[0]}–{self.seeds[-1]}" if follow and self.several else apart
        return f"{len(self.seeds)} seeds ({told})" if self.several else f"seed {told}"

    @property
    def states(self) -> str:
        """`completed`, or how many are in which state: `4 completed, 1 stopped`."""
        found = Counter(run.status().state for run in self.runs)
        return next(iter(found)) if len(found) == 1 else ", ".join(f"{count} {state}" for state, count in found.items())

    @property
    def several(self) -> bool:
        """Whether there are at least two seeds, so that there is a spread."""
        return len(self.seeds) > 1

    def spread(self, metric: str) -> Spread:
        """`final_metric` over the seeds that have it."""
        return spread(value for run in self.counted if (value := final_metric(run, metric)) is not None)


def seed_groups(runs: Sequence[Run]) -> list[SeedGroup]:
    """All `runs` in groups, in the order of their first ones; a run that is like no other is a group by itself.

    Two runs are of one group if they have the same settings but for the seed, the same dataset among them, and the
    same changes of settings at the same steps. Whose they are does not matter. A run without a readable configuration
    is alone, and so is a trial of a search.
    """
    found: dict[str, list[tuple[int, Run]]] = {}
    for run in runs:
        seed, settings = _settings(run)
        found.setdefault(settings or run.id, []).append((seed, run))
    places = {run.id: place for place, run in enumerate(runs)}
    groups = [
        _group(part)
        for alike in found.values()
        for part in (_by_changes(alike) if len({seed for seed, _ in alike}) > 1 else [alike])
    ]
    return sorted(groups, key=lambda group: places[group.runs[0].id])


def group_of(run: Run, runs: Sequence[Run]) -> SeedGroup:
    """The group of `run` among `runs`, which has it alone where no other is like it."""
    return next((group for group in seed_groups(runs) if run in group.runs), _group([(seed_of(run), run)]))


def seed_of(run: Run) -> int:
    """The run's seed; 0 where its configuration cannot be read."""
    return _settings(run)[0]


def final_metric(run: Run, metric: str) -> float | None:
    """`test_accuracy`, `val_loss` or another figure of the weights that a completed run keeps; None before its end."""
    if run.status().state != "completed":
        return None
    return _final_metrics(run, _stamp(run.metrics_path)).get(metric)


def _group(members: Sequence[tuple[int, Run]]) -> SeedGroup:
    by_seed: dict[int, list[Run]] = {}
    for seed, run in members:
        by_seed.setdefault(seed, []).append(run)
    counted = {seed: min(same, key=_rank) if len(same) > 1 else same[0] for seed, same in sorted(by_seed.items())}
    return SeedGroup(tuple(run for _, run in members), tuple(counted.values()), tuple(counted))


def _rank(run: Run) -> int:
    state = run.status().state
    return _ORDER.index(state) if state in _ORDER else len(_ORDER)


def _by_changes(alike: Sequence[tuple[int, Run]]) -> list[list[tuple[int, Run]]]:
    """Runs of the same settings, apart where these were changed on the way in different manners."""
    found: dict[tuple, list[tuple[int, Run]]] = {}
    for seed, run in alike:
        found.setdefault(_changes(run, _stamp(run.metrics_path)), []).append((seed, run))
    return list(found.values())


def _settings(run: Run) -> tuple[int, str]:
    """The seed, and all else that a run was configured with; empty where that cannot be read."""
    return _read_settings(run, _stamp(run.config_path))


@functools.lru_cache(4096)
def _read_settings(run: Run, stamp: tuple[int, int]) -> tuple[int, str]:
    try:
        config = run.config()
    except LabError:
        return 0, ""
    if run.trial is not None:  # chosen among many, perhaps: no fresh draw beside others
        return config.seed, ""
    return config.seed, config.model_dump_json(exclude={"seed"})


@functools.lru_cache(1024)
def _changes(run: Run, stamp: tuple[int, int]) -> tuple[tuple, ...]:
    made = recorded_changes(run.metrics_path).values()
    return tuple((change["step"], change["field"], change["from"], change["to"]) for change in made)


@functools.lru_cache(1024)
def _final_metrics(run: Run, stamp: tuple[int, int]) -> dict[str, float]:
    try:
        with run.metrics_path.open("rb") as log:
            log.seek(max(0, stamp[1] - _END_BYTES))
            events = [event for line in log if (event := parse_event(line)) is not None]
    except OSError:
        return {}
    last: Mapping[str, Any] = next((event for event in reversed(events) if event["event"] == "end"), {})
    return {name: float(value) for name, value in last.items() if type(value) in (int, float)}


def _stamp(path: Path) -> tuple[int, int]:
    """Tells one content of a file from another: its time and size."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size
