"""The table of a network's layers."""

from __future__ import annotations

from typing import Any

import streamlit as st

from mnist_core.config import Shape, TrainConfig
from mnist_core.models.layer_table import layer_table
from ui.widgets.fold import fold


def show_layers(config: TrainConfig, shape: Shape) -> None:
    """An expander with each layer's output shape, parameters and receptive field. Raises ConfigError."""
    rows = _rows(config.replace(recipe="custom", dataset="mnist", seed=0, learning_rate=0.001), shape)
    total = sum(row["parameters"] for row in rows)
    with fold(f"The network: {len(rows)} layers, {total:,} parameters", "layers", ":material/layers:") as is_open:
        if is_open:
            _table(rows)


def _table(rows: list[dict[str, Any]]) -> None:
    explained = {
        "gives": "Channels × height × width of its output for one image",
        "parameters": "Numbers that it learns",
        "sees": "Receptive field: how many pixels of the image, a side, one of its outputs depends on",
    }
    st.dataframe(
        rows,
        hide_index=True,
        column_config={
            "gives": st.column_config.TextColumn(help=explained["gives"]),
            "parameters": st.column_config.NumberColumn(format="localized", help=explained["parameters"]),
            "sees": st.column_config.TextColumn(help=explained["sees"]),
        },
    )


@st.cache_data(show_spinner=False, max_entries=50)
def _rows(config: TrainConfig, shape: Shape) -> list[dict[str, Any]]:
    return [
        {
            "layer": layer.kind,
            "gives": "×".join(map(str, layer.output_shape)),
            "parameters": layer.parameters,
            "sees": "all" if layer.receptive_field is None else f"{layer.receptive_field}×{layer.receptive_field}",
        }
        for layer in layer_table(config, shape)
    ]
