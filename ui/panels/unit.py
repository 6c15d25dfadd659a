"""One unit of a layer: its map, its weights, the arithmetic of one value, and what it wants to see."""

from __future__ import annotations

import numpy as np
import streamlit as st

from mnist_core.data.dataset import Dataset
from mnist_core.explain.activations import Activation, filters
from mnist_core.explain.arithmetic import Arithmetic, arithmetic, weighted_layer
from mnist_core.figures.tiles import arithmetic_figure, map_picture, picture_figure, tile_figure, unit_bars
from mnist_core.runs.catalogue import Model
from ui import explained
from ui.live.chart import live_chart
from ui.widgets.images import pictures
from ui.widgets.place import number

CONFIG = {"displayModeBar": False, "showSendToCloud": False}


def choose_unit(activation: Activation, key: str) -> int:
    """The unit of a layer: by its number, or by a click on its map or bar. Session `key` keeps it."""
    unit = number(key, len(activation.output), activation.strongest)
    figure_key = f"{key}-{activation.name}-figure"

    def clicked() -> None:
        points = st.session_state[figure_key]["selection"]["points"]
        if points:
            found = points[0]["customdata"]
            st.session_state[key] = int(found[0] if isinstance(found, list) else found)

    st.number_input(
        "Unit", 0, len(activation.output) - 1, step=1, key=key, help="Or click a map. The first one has the number 0."
    )
    figure = tile_figure(activation.output, unit) if activation.has_maps else unit_bars(activation.output, unit)
    st.plotly_chart(
        figure,
        key=figure_key,
        on_select=clicked,
        selection_mode="points",
        height=330,
        config=CONFIG,
        alt=f"All {len(activation.output)} outputs of {activation.title}; unit {unit} is framed.",
    )
    st.caption("Blue to white is above 0, orange below, black is 0; all on one scale. The chosen one is framed.")
    return unit


def show_arithmetic(model: Model, image: np.ndarray, found: list[Activation], name: str, unit: int, key: str) -> None:
    """How one value of the unit came about, at a position that sliders move."""
    layers = {activation.name: activation for activation in found}
    source = weighted_layer(found, name)
    if source is None:
        st.caption(f"{layers[name].kind} mixes or adds what it is given: choose a layer with weights to see its sums.")
        return
    own, row, column = layers[source], None, None
    if own.has_maps:
        height, width = own.output.shape[1:]
        strongest = np.unravel_index(np.abs(own.output[unit]).argmax(), (height, width))
        left, right = st.columns(2)
        row, column = (
            _position(place, label, length, f"{key}-{label}", int(most))
            for place, label, length, most in zip(
                (left, right), ("row", "column"), (height, width), strongest, strict=True
            )
        )
    result = arithmetic(explained.network(model), image, source, unit, row or 0, column or 0)
    if row is not None and column is not None:
        _convolution(own, result, row, column)
    else:
        _dense(result)
    _sum(result)


def _position(place: st.delta_generator.DeltaGenerator, label: str, length: int, key: str, default: int) -> int:
    value = number(key, length, default)
    if length == 1:
        return 0
    return place.slider(label.capitalize(), 0, length - 1, key=key) if length > 1 else value


def _convolution(own: Activation, result: Arithmetic, row: int, column: int) -> None:
    sums = result.products.sum(axis=(1, 2))
    channel = 0
    if len(sums) > 1:
        order = np.argsort(-np.abs(sums), kind="stable")
        channel = st.selectbox(
            "Input map",
            order.tolist(),
            format_func=lambda c: f"{c}: adds {sums[c]:+.3f}",
            help=f"The unit reads {len(sums)} maps. Those that add most come first.",
        )
    assert result.corner is not None
    size = result.patch.shape[1:]
    source, out = st.columns(2)
    first = result.unit // max(1, len(own.output) // (len(own.given) // len(sums))) * len(sums)
    with source:
        under = picture_figure(own.given[first + channel], (*result.corner, *size))
        live_chart(under, key="Input map under the kernel", height=220)
        st.caption(f"Input map {first + channel}; the kernel lies on the framed pixels.")
    with out:
        live_chart(picture_figure(own.output[result.unit], (row, column, 1, 1)), key="Map of the unit", height=220)
        st.caption(f"What the unit makes of it; row {row}, column {column} is framed.")
    blocks = (values[channel] for values in (result.patch, result.kernel, result.products))
    live_chart(arithmetic_figure(*blocks), key="Input times kernel", height=210)


def _dense(result: Arithmetic) -> None:
    live_chart(unit_bars(result.products), key="Inputs that add most", height=240)
    st.caption(
        f"The {min(40, len(result.products))} inputs that add most, of {len(result.products):,}: each input times its "
        "weight."
    )


def _sum(result: Arithmetic) -> None:
    """The sum, and what follows it until the next layer with weights, in a table."""
    products = float(result.products.sum())
    lines = ["| step | | value |", "|---|---|---:|"]
    lines.append(f"| sum of {result.products.size:,} products | | {products:.4f} |")
    lines.append(f"| bias | + {result.bias:.4f} | {result.total:.4f} |")
    lines += [f"| {step.kind} | {step.formula} | {step.after:.4f} |" for step in result.steps]
    st.markdown("\n".join(lines))
    st.caption(f"Computed anew here; the network's own numbers differ by {result.error:.1g} at most.")


def show_weights(model: Model, name: str, unit: int) -> None:
    """The unit's weights as pictures, and those of all units of a layer that reads the image itself."""
    kernels = filters(explained.network(model), name, model.card.shape)
    if kernels is None:
        return
    own, whole = st.columns([1, 2])
    own.image(map_picture(kernels[unit], least=200), width=200, output_format="PNG", alt=f"The weights of unit {unit}")
    own.caption(f"Weights of unit {unit}, one square per input map.")
    if kernels.shape[1] == model.card.shape.channels:
        summed = kernels.mean(axis=1)[:256]
        whole.image(
            map_picture(summed, unit if unit < 256 else None), width=400, output_format="PNG", alt="All filters"
        )
        whole.caption("The filters of all units of this layer.")


def show_wish(model: Model, data: Dataset | None, activation: Activation, unit: int) -> None:
    """What the unit wants to see: activation maximisation, and the nine test images that excite it most."""
    found = explained.maximised(model, activation.name, unit)
    made, real = st.columns([1, 2])
    with made:
        pictures(found.image[None], [f"answer {found.value:.3f}"], width=150)
        st.caption("Made to excite it: gradient ascent on the pixels, seed 0.")
    if data is not None:
        with real:
            rows = explained.exciting(model, activation.name, data)[unit]
            names = [f"test {row}: {data.classes[int(data.test_labels[row])]}" for row in rows]
            pictures(data.test_images[rows], names, width=80)
            st.caption("The test images to which it answers most, by the mean of its map.")
