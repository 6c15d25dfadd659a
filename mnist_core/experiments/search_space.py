"""The settings that a search tries, and their ranges: `learning_rate=1e-4:1e-1:log`, `batch_size=32,64,128`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_core.config import NETWORK, TrainConfig
from mnist_core.errors import ConfigError

if TYPE_CHECKING:
    import optuna

MOST_RANGES = 12
_OTHER_IMAGES = "the trials would be judged on other images, or at other moments, and could not be compared"
# field → why a search leaves it alone
FIXED = {
    "recipe": "it is the name of where the settings started from",
    "seed": "the best seed is luck",
    "threads": "it changes the speed alone",
    "snapshots": "it changes what is kept alone",
    "keep": _OTHER_IMAGES,
    **dict.fromkeys(
        (
            "dataset",
            "preparation",
            "classes",
            "split",
            "test_fraction",
            "validation_fraction",
            "validations_per_epoch",
            "rehearsal",
        ),
        _OTHER_IMAGES,
    ),
}
SEARCHABLE = [name for name in TrainConfig.model_fields if name not in FIXED]


@dataclass(frozen=True)
class Range:
    """What a search tries of one setting: numbers from `low` to `high`, evenly or by their logarithm, or `choices`."""

    field: str
    low: float | int | None = None
    high: float | int | None = None
    log: bool = False
    choices: tuple[Any, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether the numbers are whole ones."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def ends(self) -> tuple[Any, ...]:
        """The values that have to be possible so that all are: both ends, or every choice."""
        return self.choices or (self.low, self.high)

    @property
    def text(self) -> str:
        """As it is typed after `--range`."""
        if self.choices:
            return f"{self.field}={','.join(map(_as_typed, self.choices))}"
        return f"{self.field}={_as_typed(self.low)}:{_as_typed(self.high)}{':log' if self.log else ''}"

    def suggest(self, trial: optuna.Trial) -> Any:
        """The value that `trial` tries."""
        if self.choices:
            return trial.suggest_categorical(self.field, self.choices)
        if self.whole:
            return trial.suggest_int(self.field, int(self.low or 0), int(self.high or 0), log=self.log)
        return trial.suggest_float(self.field, float(self.low or 0), float(self.high or 0), log=self.log)


def _as_typed(value: Any) -> str:
    short = f"{value:g}" if isinstance(value, float) else str(value)
    if isinstance(value, float) and float(short) != value:
        return repr(value)
    return short.lower() if isinstance(value, bool) else short


def parse_range(text: str, base: TrainConfig) -> Range:
    """`field=low:high`, `field=low:high:log` or `field=a,b,c` → Range. Raises ConfigError."""
    name, separator, values = text.partition("=")
    field, values = name.strip().replace("-", "_"), values.strip()
    if not separator or not values:
        raise ConfigError(f"'{text[:100]}' is no range: write FIELD=LOW:HIGH, FIELD=LOW:HIGH:log or FIELD=A,B,C.")
    if field not in TrainConfig.model_fields:
        raise ConfigError(f"There is no setting '{field[:60]}' to search; there are: {', '.join(SEARCHABLE)}.")
    kind = TrainConfig.model_fields[field].annotation
    if ":" in values and kind is not str:  # a text may hold one, as "folder:PATH" does
        return checked_range(_numbers(field, values, kind), base)
    choices = tuple(part.strip() for part in values.split(","))
    return checked_range(Range(field, choices=choices), base)


def _numbers(field: str, text: str, kind: Any) -> Range:
    if kind not in (int, float):
        raise ConfigError(f"{field} is no number: write its values apart by commas, {field}=A,B.")
    low, high, *further = (part.strip() for part in text.split(":"))
    if further not in ([], ["log"]):
        raise ConfigError(f"{field}: after LOW:HIGH only ':log' may follow, not ':{':'.join(further)[:40]}'.")
    return Range(field, _number(field, low, kind), _number(field, high, kind), bool(further))


def _number(field: str, text: str, kind: type) -> float | int:
    try:
        number = float(text)
        if not math.isfinite(number) or (kind is int and number != int(number)):
            raise ValueError
    except ValueError:
        raise ConfigError(f"{field}: '{text[:40]}' is no {'whole ' if kind is int else ''}number.") from None
    return int(number) if kind is int else number


def checked_range(found: Range, base: TrainConfig) -> Range:
    """`found` with its values as `base` would have them. Raises ConfigError where it makes no sense."""
    field = found.field
    if field in FIXED:
        raise ConfigError(f"{field} cannot be searched: {FIXED[field]}.")
    if not found.choices:
        low, high = float(found.low or 0), float(found.high or 0)
        if low >= high:
            raise ConfigError(f"{field}: the range should go up, unlike {low:g} to {high:g}.")
        if found.log and low <= 0:
            raise ConfigError(f"{field}: a logarithmic range begins above 0, not at {low:g}.")
        for end in found.ends:
            base.replace(**{field: end})
        return found
    values = tuple(getattr(base.replace(**{field: choice}), field) for choice in found.choices)
    if len(values) < 2 or len(set(values)) < len(values):
        raise ConfigError(f"{field}: give at least two values, each of them once.")
    return Range(field, choices=values)


def checked_space(ranges: Sequence[Range], base: TrainConfig) -> tuple[Range, ...]:
    """The ranges in the order of the settings. Raises ConfigError where they make no sense beside each other."""
    if not ranges:
        raise ConfigError("A search needs at least one range, such as learning_rate=1e-4:1e-1:log.")
    if len(ranges) > MOST_RANGES:
        raise ConfigError(f"A search tries {MOST_RANGES} settings at most, not {len(ranges)}.")
    names = [found.field for found in ranges]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"{twice[0]} has two ranges: give one.")
    order = list(TrainConfig.model_fields)
    return tuple(sorted((checked_range(found, base) for found in ranges), key=lambda found: order.index(found.field)))


def check_networks(base: TrainConfig, ranges: Sequence[Range], data_dir: Path | str | None = None) -> str:
    """Builds what the ends of the ranges ask for, as far as the images and other models have a say.

    → a note on the dataset, or "". Raises ConfigError, DataError or CheckpointError where one end could not be trained.
    """
    from mnist_core.data.prepare import load_for
    from mnist_core.data.splits import train_and_validation
    from mnist_core.models.classifier import build_model
    from mnist_core.training.checks import check_batches
    from mnist_core.training.state import load_pretrained, load_teachers

    data = load_for(base, data_dir)
    images = len(train_and_validation(data, base)[0])
    wanted = [base, *(base.replace(**{found.field: end}) for found in ranges for end in found.ends)]
    seen = set()
    for config in wanted:
        about = (*(getattr(config, name) for name in (*NETWORK, "init_from", "teachers")), config.batch_size)
        if about in seen:
            continue
        seen.add(about)
        check_batches(config, build_model(config, data.shape), images)
        if config.init_from:
            load_pretrained(config, data.shape, data.classes)
        if config.teachers != base.teachers or config is base:
            load_teachers(config, data.shape, data.classes)
    return data.warning


def settings_words(settings: dict[str, Any]) -> str:
    """A trial's settings as text: `learning rate 0.0123, batch norm on`."""
    return ", ".join(f"{name.replace('_', ' ')} {value_words(value)}" for name, value in settings.items())


def value_words(value: Any) -> str:
    """A value for people: three digits of a number, `on` or `off`."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
