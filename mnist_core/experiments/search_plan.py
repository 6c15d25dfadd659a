"""What a search is to do: the settings and their ranges, by which sampler and pruner, and for how long.

The sampler is the Tree-structured Parzen Estimator (J. Bergstra et al., Algorithms for hyper-parameter optimization,
2011) unless random numbers are asked for. Trials are cut short by asynchronous successive halving (L. Li et al., A
system for massively parallel hyperparameter tuning, 2018, arXiv:1810.05934) or by the median of the others.
"""

from __future__ import annotations

import math
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mnist_core.config import TrainConfig, parse_config
from mnist_core.errors import ConfigError
from mnist_core.experiments.search_space import Range, checked_space, parse_range

if TYPE_CHECKING:
    import optuna

SAMPLERS = ("tpe", "random")
PRUNERS = ("asha", "median", "none")
DEFAULT_TRIALS = 20
MOST_TRIALS = 10_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")


@dataclass(frozen=True)
class Plan:
    """What all processes of a search have to agree on. `base` has the settings that are not searched."""

    name: str
    base: TrainConfig
    ranges: tuple[Range, ...]
    sampler: str = "tpe"
    pruner: str = "asha"
    owner: str = ""

    @property
    def longest(self) -> TrainConfig:
        """The settings of the longest trial, for the limits."""
        most = [int(end) for found in self.ranges if found.field == "epochs" for end in found.ends]
        return self.base.replace(epochs=max(most, default=self.base.epochs))

    def to_json(self) -> dict[str, Any]:
        """Plain values, from which `plan_from_json` makes the plan again."""
        return {
            "base": self.base.model_dump(mode="json"),
            "ranges": [found.text for found in self.ranges],
            "sampler": self.sampler,
            "pruner": self.pruner,
            "owner": self.owner,
        }


def make_plan(
    base: TrainConfig,
    ranges: Sequence[Range],
    name: str = "",
    sampler: str = "tpe",
    pruner: str = "asha",
    owner: str = "",
) -> Plan:
    """A checked plan; without a name it gets one of its own. Raises ConfigError."""
    name = name or f"{base.recipe[:40]}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"A search's name has at most 80 letters, digits, _ and -, and begins with a letter or digit: "
            f"not {repr(name)[:90]}."
        )
    if sampler not in SAMPLERS or pruner not in PRUNERS:
        raise ConfigError(f"A search samples by {' or '.join(SAMPLERS)} and prunes by {', '.join(PRUNERS)}.")
    return Plan(name, base, checked_space(ranges, base), sampler, pruner, owner)


def plan_from_json(name: str, value: Any) -> Plan:
    """Raises ConfigError where that is no plan."""
    try:
        base = parse_config(value["base"])
        ranges = [parse_range(text, base) for text in value["ranges"]]
        return make_plan(base, ranges, name, value["sampler"], value["pruner"], value["owner"])
    except (KeyError, TypeError, AttributeError):
        raise ConfigError(f"'{name[:80]}' is no search of this lab.") from None


@dataclass(frozen=True)
class Budget:
    """How long a search goes on: trials that ended well or were pruned, and seconds since 1970; None is no limit."""

    trials: int | None
    deadline: float | None


def checked_budget(trials: int | None, minutes: float | None) -> Budget:
    """Raises ConfigError. Neither given means DEFAULT_TRIALS."""
    if trials is None and minutes is None:
        trials = DEFAULT_TRIALS
    if trials is not None and not 1 <= trials <= MOST_TRIALS:
        raise ConfigError(f"A search has 1 to {MOST_TRIALS} trials, not {trials}.")
    if minutes is not None and not (math.isfinite(minutes) and 0 < minutes <= 100_000):
        raise ConfigError(f"A search lasts more than 0 and at most 100000 minutes, not {minutes:g}.")
    return Budget(trials, None if minutes is None else time.time() + 60 * minutes)


def check_agreement(plan: Plan, study: optuna.Study) -> None:
    """Raises ConfigError where the study was begun with another plan."""
    theirs, ours = study.user_attrs.get("search"), plan.to_json()
    if not isinstance(theirs, dict):
        raise ConfigError(f"'{plan.name}' in that storage is no search of this lab: choose another name.")
    differing = [name for name in ours if name != "owner" and theirs.get(name) != ours[name]]
    if not differing:
        return
    if differing == ["ranges"]:
        raise ConfigError(
            f"The search {plan.name} has other ranges: {' '.join(map(str, theirs.get('ranges', [])))[:300]}. "
            "Give the same, or another name."
        )
    if "base" in differing and isinstance(theirs.get("base"), dict):
        base = {name for name in ours["base"] if theirs["base"].get(name) != ours["base"][name]}
        differing = [name for name in differing if name != "base"] + sorted(base)
    raise ConfigError(
        f"The search {plan.name} was begun with another {', '.join(differing)}: give the same, or another name."
    )


def pruner(plan: Plan) -> optuna.pruners.BasePruner:
    import optuna

    if plan.pruner == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=4)
    if plan.pruner == "asha":
        # the better half goes on after a quarter of the training, and again after a half: a quarter of all ends it
        parts = plan.base.validations_per_epoch
        first = max(1, round(plan.base.epochs / 4)) * parts if plan.base.epochs > 1 else 1
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=first, reduction_factor=2)
    return optuna.pruners.NopPruner()


def sampler(plan: Plan, number: int) -> optuna.samplers.BaseSampler:
    """The sampler of trial `number`: each draws its own numbers, by the plan's seed, in whichever process it is."""
    import optuna

    seed = (plan.base.seed * 1_000_003 + number * 7919 + 1) % 2**32
    if plan.sampler == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed)
