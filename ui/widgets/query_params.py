"""The query parameters of the Train page: its settings, so that they can be shared as a link."""

from __future__ import annotations

from typing import Any

import streamlit as st

from mnist_core.config import TrainConfig, parse_assignments
from mnist_core.recipes import RECIPES, get_recipe
from mnist_core.runs.run import open_run
from ui import address
from ui.widgets.dataset import preset_dataset

_SEEN, _BEGINNING, _PREPARATIONS = "address-seen", "address-beginning", "address-preparations"


def read_address(dataset_key: str) -> None:
    """Sets the widgets to the values in the address, once. Called before the widgets are made.

    `run` is a run to show. Raises RunError where there is none of that name, ConfigError for an unknown recipe, dataset
    or setting in the address; the widgets then keep their values.
    """
    asked = address.own()
    if not asked or asked == st.session_state.get(_SEEN):
        return
    st.session_state[_SEEN] = dict(asked)
    if (run_id := asked.pop("run", None)) is not None:
        st.session_state["run"] = open_run(run_id).id
        if not asked:  # a link to a run leaves the knobs alone
            return
    recipe = get_recipe(asked.pop("recipe", next(iter(RECIPES))))
    dataset = asked.pop("dataset", None)
    settings = parse_assignments([f"{name}={value}" for name, value in asked.items()])
    recipe.config().replace(**settings)
    if dataset is not None:
        preset_dataset(dataset_key, dataset)
    st.session_state["recipe"] = recipe.name
    begin_with(recipe.name, settings)


def begin_with(recipe: str, settings: dict[str, Any]) -> None:
    """Resets the knobs of `recipe` to its settings, with `settings` in place of some."""
    st.session_state[_BEGINNING] = recipe, settings
    st.session_state["knobs-reset"] = st.session_state.get("knobs-reset", 0) + 1


def beginning(recipe: TrainConfig) -> TrainConfig:
    """The values at which the knobs begin. Raises ConfigError when the address does not fit the dataset."""
    name, settings = st.session_state.get(_BEGINNING, ("", {}))
    return recipe.replace(**settings) if name == recipe.recipe else recipe


def preparation(dataset: str) -> str:
    """The preparation at which the knob for the dataset stood last, or with which it will begin."""
    _, settings = st.session_state.get(_BEGINNING, ("", {}))
    stood: str = st.session_state.get(_PREPARATIONS, {}).get(dataset, settings.get("preparation", "auto"))
    return stood


def write_address(config: TrainConfig, recipe: TrainConfig) -> None:
    """Writes recipe, dataset and the settings that differ, as in `--recipe`, `--dataset` and `--set`."""
    st.session_state.setdefault(_PREPARATIONS, {})[config.dataset] = config.preparation
    changed = {name: str(value) for name, value in config.differences(recipe).items()}
    said = {"recipe": config.recipe, "dataset": config.dataset, **changed}
    address.write(said)
    st.session_state[_SEEN] = said
