"""The strip of a network's layers, each as it answers one image."""

from __future__ import annotations

import numpy as np
import streamlit as st

from mnist_core.explain.activations import PASSING, Activation
from mnist_core.figures.images import data_url
from mnist_core.figures.tiles import map_picture

MOST_UNITS = 64  # a strip shows the strongest of more
WIDTH = 150  # px


def shown_layers(found: list[Activation]) -> list[Activation]:
    """Those that change what they are given."""
    return [activation for activation in found if activation.kind not in PASSING]


def layer_strip(found: list[Activation], chosen: str, key: str) -> None:
    """A picture per layer, its strongest unit framed; the button above it chooses the layer, as session `key`."""
    with st.container(horizontal=True, gap="small", key=f"{key}-strip"):
        for number, activation in enumerate(shown_layers(found), 1):
            with st.container(width=165, border=activation.name == chosen, gap=None):
                st.button(
                    f"{number}. {activation.title}",
                    key=f"{key}-open-{activation.name}",
                    type="tertiary",
                    on_click=st.session_state.update,
                    args=({key: activation.name},),
                    help=_words(activation),
                )
                st.image(
                    data_url(_picture(activation)),
                    width=WIDTH,
                    alt=f"{activation.title}: {_words(activation)} Its strongest unit is {activation.strongest}.",
                )


def _words(activation: Activation) -> str:
    field = activation.receptive_field
    sees = "the whole image" if field is None else f"{field}×{field} pixels of it"
    learned = f"{activation.parameters:,} parameters" if activation.parameters else "nothing to learn"
    return f"{learned}; each of its values depends on {sees}."


def _picture(activation: Activation) -> np.ndarray:
    """Its maps, or a square of shades for each unit; the strongest MOST_UNITS of many, in their order."""
    # one number a unit is shown as a square
    maps = activation.output if activation.has_maps else np.tile(activation.output[:, None, None], (1, 4, 4))
    marked = activation.strongest
    if len(maps) > MOST_UNITS:
        kept = np.sort(np.argsort(-activation.strength, kind="stable")[:MOST_UNITS])
        maps, marked = maps[kept], int(np.flatnonzero(kept == marked)[0])
    return map_picture(maps, marked, least=WIDTH)
