"""Teaching: the settings with which a model learns a person's drawings and forgets little of what it knew."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from mnist_core.config import NETWORK, TrainConfig
from mnist_core.data.dataset import CUSTOM_KINDS, DIGITS
from mnist_core.data.loading import default_dataset, is_available, own_options, resolve_path
from mnist_core.data.pen_digits import load_taught
from mnist_core.data.rehearsal import is_teaching
from mnist_core.errors import ConfigError, DataError
from mnist_core.models.card import Card
from mnist_core.models.checkpoint import find_checkpoint, read_card
from mnist_core.recipes import get_recipe
from mnist_core.system.settings import data_folder

RECIPE = "teach"
COPIES = 1000  # of all drawings together: more of them would take longer than a minute and add little
MOST_COPIES = 30  # of one
FEW_NON_DIGITS = 250  # beside the built-in digits, of which there are a quarter as many as are rehearsed of MNIST


def teach_config(model: str, drawings: Path | str, data_dir: Path | str | None = None) -> TrainConfig:
    """The settings that teach `model`, a shipped one's name or a checkpoint's folder, the drawings in a file.

    Raises what `completed` raises.
    """
    config = get_recipe(RECIPE).config(f"drawings:{drawings}").replace(init_from=model)
    return completed(config, data_dir, given=("init_from",))


def completed(config: TrainConfig, data_dir: Path | str | None = None, given: Collection[str] = ()) -> TrainConfig:
    """A teaching's `config` with what follows from the model it begins with; another config as it is.

    From the model's card come the network, the teacher (the model itself), the dataset that it learned from and how
    that was split; copies of drawings are as many as fit into a minute. Settings that a person has `given` stay.
    Raises CheckpointError where there is no such model, ConfigError where strokes cannot teach it, DataError where the
    drawings cannot be read.
    """
    if config.recipe != RECIPE or not is_teaching(config):
        return config
    if not config.init_from:
        raise ConfigError("A teaching begins with a model: name it in the setting init_from, such as init_from=pen.")
    card = read_card(find_checkpoint(config.init_from))
    if card.input_shape != (1, 28, 28) or card.preparation == "whole":
        raise ConfigError(
            f"The model {config.init_from} does not read drawings, so that strokes cannot teach it: choose another."
        )
    drawings = load_taught(resolve_path(*config.dataset.split(":", 1)), 0, 0).drawings
    old = card.config
    found: dict[str, Any] = {name: getattr(old, name) for name in NETWORK}
    found |= {
        "model": card.architecture,
        "dropout": old.dropout,
        "normalization": old.normalization,
        "teachers": config.init_from,
        "rehearsal": _learned_from(card, data_dir),
        # the same images are held out for validation as from the model
        "validation_fraction": old.validation_fraction,
        "split": old.split,
        "test_fraction": old.test_fraction,
        "seed": old.seed,
        "extra_copies": max(1, min(MOST_COPIES, COPIES // drawings)),
    }
    if tuple(card.classes) != DIGITS:
        found["non_digits"] = 0  # its classes may be letters
    elif found["rehearsal"] == "digits":
        found["non_digits"] = FEW_NON_DIGITS
    return config.replace(**{name: value for name, value in found.items() if name not in given})


def _learned_from(card: Card, data_dir: Path | str | None) -> str:
    """The dataset that a model learned from, where it is here, else other digits for a model of digits."""
    name = card.config.rehearsal or card.dataset
    data_dir = data_folder() if data_dir is None else data_dir
    kind, _, path = name.partition(":")
    try:
        if kind in CUSTOM_KINDS:
            resolve_path(kind, own_options(kind, path)[0])
        elif not is_available(name, data_dir):
            raise DataError("")
    except DataError:
        if tuple(card.classes) != DIGITS:
            raise ConfigError(
                f"The model {card.name} learned from {name}, which is not here: without it, it would forget too much."
            ) from None
        return default_dataset(data_dir)
    return name
