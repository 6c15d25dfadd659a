"""What all runs of a study share: dataset, recipe and epochs, as ablations and searches begin with."""

from __future__ import annotations

import streamlit as st

from mnist_core.config import TrainConfig
from mnist_core.data.dataset import dataset_title
from mnist_core.data.loading import default_dataset, is_available
from mnist_core.system.settings import data_folder
from ui import page
from ui.widgets.dataset import choose_dataset
from ui.widgets.settings import choose_recipe


def choose_base(prefix: str) -> TrainConfig | None:
    """Widgets whose keys begin with `prefix`; None while no dataset is chosen."""
    present = default_dataset(data_folder())
    columns = st.columns([2, 2, 1])
    with columns[0]:
        dataset = choose_dataset("Dataset", present, f"{prefix}-dataset-{present}")
    with columns[1]:
        recipe = choose_recipe(f"{prefix}-recipe", "All other settings")
    if dataset is None:
        return None
    base = recipe.config(dataset)
    epochs = columns[2].number_input(
        "Epochs", 1, 200, base.epochs, key=f"{prefix}-epochs-{dataset}-{recipe.name}", persist_state="session"
    )
    return base.replace(epochs=int(epochs))


def is_missing(base: TrainConfig) -> bool:
    """Whether the dataset is not on this machine; a sentence then says what to do."""
    missing = not is_available(base.dataset, data_folder())
    if missing:
        title = page.escape_markdown(dataset_title(base.dataset))
        st.warning(f"{title} is not on this machine yet: download it on the Train page, or choose another dataset.")
    return missing
