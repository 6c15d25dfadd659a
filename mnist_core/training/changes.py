"""Settings that may change while a training runs, as events: checked, applied in order, and put into words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mnist_core.config import TrainConfig
from mnist_core.errors import ConfigError, LabError, RunError
from mnist_core.training.events import ChangeEvent

AUGMENTATION = ("rotation", "translation", "scaling", "shear", "elastic", "flip", "erasing")
CHANGEABLE = ("learning_rate", "dropout", "weight_decay", "threads", *AUGMENTATION)


def check_change(config: TrainConfig, wanted: dict[str, Any]) -> dict[str, Any]:
    """The settings among `wanted` whose value differs from that in `config`, typed. Raises ConfigError."""
    for name in wanted:
        if name not in CHANGEABLE:
            raise ConfigError(
                f"'{str(name)[:60]}' cannot be changed while a training runs; these can: {', '.join(CHANGEABLE)}."
            )
    return config.replace(**wanted).differences(config)


def changed_config(start: TrainConfig, changes: Iterable[ChangeEvent]) -> TrainConfig:
    """`start` after `changes` (events), in order. Raises RunError when they do not lead on from it."""
    config = start
    try:
        for change in changes:
            name = change["field"]
            if name not in CHANGEABLE or getattr(config, name) != change["from"]:
                raise ValueError
            config = config.replace(**{name: change["to"]})
    except (LabError, ValueError, KeyError, TypeError):
        raise RunError("The changes that were made while it ran do not belong to its settings.") from None
    return config


def change_label(changes: Sequence[ChangeEvent]) -> str:
    """Change events → the label of their mark in a chart: `lr 0.01 → 0.001`, a line for each."""
    names = {"learning_rate": "lr", "translation": "shift", "shear": "slant", "flip": "mirror"}
    return "<br>".join(
        f"{names.get(c['field'], c['field'].replace('_', ' '))} "
        f"{setting(c['field'], c['from'])} → {setting(c['field'], c['to'])}"
        for c in changes
    )


def setting(field: str, value: Any) -> str:
    """The value of `field` as text."""
    return "all" if field == "threads" and not value else shown(value)


def shown(value: Any) -> str:
    """A setting's value as text."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)
