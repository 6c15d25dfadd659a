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

from pydantic import TypeAdapter

from mnist_core.config import TrainConfig, parse_config
from mnist_core.errors import ConfigError, LabError, RunError
from mnist_core.experiments.seeds import create_runs, queue_runs
from mnist_core.runs.run import Run, open_run
from mnist_core.system.files import read_json, write_json
from mnist_core.system.settings import runs_folder

STUDIES_FOLDER = ".studies"
MOST_RUNS = 200
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


def _settings(factors: Sequence[Factor]) -> list[dict[str, Any]]:
    names = [factor.field for factor in factors]
    return [dict(zip(names, values, strict=True)) for values in itertools.product(*(f.values for f in factors))]


def setting_label(setting: dict[str, Any]) -> str:
    """A setting as text: `dropout 0.25, batch norm on`."""
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
    base: TrainConfig,
    factors: Sequence[Factor],
    seeds: Sequence[int],
    runs_dir: Path | str | None = None,
    owner: str = "",
) -> Study:
    """Creates and queues the runs, for workers to execute. Raises ConfigError or RunError."""
    root = Path(runs_dir if runs_dir is not None else runs_folder())
    configs = plan(base, factors, seeds)
    # seed by seed, so that a study that is cut short still compares all settings
    runs = create_runs(configs, root, owner)
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
    queue_runs(runs)
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
    except (LabError, OSError, ValueError, TypeError):
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
