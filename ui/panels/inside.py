"""Inside: every layer as it answers a drawing, how one value is computed, and where the model looked."""

from __future__ import annotations

import re

import numpy as np
import streamlit as st

from mnist_core.data.dataset import Dataset
from mnist_core.data.loading import is_available
from mnist_core.explain.arithmetic import weighted_layer
from mnist_core.figures.classification import probability_bars
from mnist_core.figures.images import as_picture, enlarge
from mnist_core.runs.catalogue import Model, predictor
from mnist_core.system.settings import data_folder
from ui import cache, explained, page
from ui.live.chart import live_chart
from ui.panels.attack import attack_it
from ui.panels.layers import layer_strip, shown_layers
from ui.panels.saliency import choose_class, choose_layer, choose_method, has_maps, show_overlays
from ui.panels.unit import choose_unit, show_arithmetic, show_weights, show_wish
from ui.visitors import mark_active
from ui.widgets import canvas
from ui.widgets.place import number, write_place

VIEWS = {"layers": "Layer by layer", "saliency": "Where it looked", "attack": "Attack it"}


def own_images(model: Model) -> Dataset | None:
    """The dataset that the model learned from; None where it is not on this machine."""
    name = model.card.dataset
    return cache.dataset(name, model) if is_available(name, data_folder()) else None


def choose_image(model: Model, data: Dataset | None) -> tuple[np.ndarray | None, str | None]:
    """The model's input, and its name in the address: the drawing on the canvas, or a test image."""
    named = re.fullmatch(r"test:(\d{1,9})", st.session_state.pop("inside-image", "") or "")
    if named and data is not None:
        st.session_state["inside-source"] = "A test image"
        st.session_state["inside-number"] = int(named[1])
    sources = [*(["Your drawing"] if model.card.shape.channels == 1 else []), *(["A test image"] if data else [])]
    if st.session_state.get("inside-source") not in sources:
        drawn = bool(st.session_state.get("drawing", {}).get("now"))
        # without a drawing there is something to look at too
        st.session_state["inside-source"] = (sources[0] if drawn else sources[-1]) if sources else None
    source = st.segmented_control("Picture", sources, required=True, key="inside-source", persist_state="session")
    if source == "A test image" and data is not None:
        row = number("inside-number", len(data.test_labels))
        st.number_input("Number", 0, len(data.test_labels) - 1, step=1, key="inside-number", persist_state="session")
        label = page.escape_markdown(data.classes[int(data.test_labels[row])])
        image = as_picture(data.test_images[row])
        st.image(enlarge(image, 8), f"Test image {row}, labelled {label}", width=224, output_format="PNG")
        return image, f"test:{row}"
    if source is None:
        st.info("The images that this model learned from are not on this machine.", icon=":material/info:")
        return None, None
    paper, buttons, controls = st.container(width=300), st.container(horizontal=True), st.container(width=300)
    with paper:
        pixels = canvas.canvas(buttons, controls).pixels
    reader = predictor(model)
    return (None if pixels is None else reader.prepare(reader.from_canvas(pixels))), None


def answer(model: Model, image: np.ndarray) -> int:
    """The class that the model reads, with its probabilities."""
    pixels = image[None] if image.ndim == 2 else image.transpose(2, 0, 1)
    probabilities = predictor(model).probabilities(pixels[None])[0]
    best = int(probabilities.argmax())
    st.markdown(f"### {page.escape_markdown(model.card.classes[best])} · {probabilities[best]:.1%} sure")
    bars = probability_bars(probabilities, model.card.classes, best)
    live_chart(bars, key="Probabilities of the classes", height=220)
    return best


def layer_by_layer(model: Model, image: np.ndarray, data: Dataset | None) -> dict[str, object]:
    """The strip of layers, and one unit of one layer taken apart."""
    found = explained.layers(model, image)
    layers = {activation.name: activation for activation in shown_layers(found)}
    if st.session_state.get("inside-layer") not in layers:
        st.session_state["inside-layer"] = next(iter(layers))
    name = st.session_state["inside-layer"]
    st.caption("From the image to the answer. The strongest unit of each layer is framed; a button opens its layer.")
    layer_strip(found, name, "inside-layer")
    st.subheader(f"{layers[name].title}", anchor=False)
    maps, sums = st.columns([1, 1.1], gap="large")
    with maps:
        unit = choose_unit(layers[name], "inside-unit")
        show_weights(model, weighted_layer(found, name) or name, unit)
    with sums, page.errors_as_messages():
        st.markdown("**How one value is computed**")
        show_arithmetic(model, image, found, name, unit, "inside")
    if st.toggle("What this unit wants to see", key="inside-wish"):
        with page.errors_as_messages():
            show_wish(model, data, layers[name], unit)
    place = {part: st.session_state.get(f"inside-{part}") for part in ("row", "column")}
    return {"layer": name, "unit": unit, **place}


def where_it_looked(model: Model, image: np.ndarray, best: int) -> dict[str, object]:
    """A saliency map over the image."""
    choices, shown = st.columns([1, 2], gap="large")
    with choices:
        method = choose_method(model, has_maps(model, image), "inside-method")
        target = choose_class(model, best, "inside-target")
        layer = choose_layer(model, image, "inside-camlayer") if method == "grad-cam" else None
        opacity = st.slider("Opacity", 0.0, 1.0, 0.7, 0.05, key="inside-opacity", persist_state="session")
    with shown, page.errors_as_messages():
        show_overlays(model, image, method, [target], opacity, layer)
    return {"method": method, "target": st.session_state["inside-target"]}


@st.fragment
def look(model: Model) -> None:
    """The picture and what the network makes of it; a stroke reruns only this."""
    mark_active()
    with page.errors_as_messages():
        data = own_images(model)
        picture, reading = st.columns([1, 1.6], gap="large")
        with picture:
            image, name = choose_image(model, data)
        if image is None:
            reading.caption("Draw something, and every layer of the network shows what it makes of it.")
            write_place("inside", model=model.id)
            return
        with reading:
            best = answer(model, image)
            if st.session_state.get("inside-view") not in VIEWS:
                st.session_state["inside-view"] = "layers"
            view = st.segmented_control(
                "View",
                list(VIEWS),
                format_func=VIEWS.__getitem__,
                required=True,
                key="inside-view",
                persist_state="session",
            )
        if view == "layers":
            place = layer_by_layer(model, image, data)
        elif view == "saliency":
            place = where_it_looked(model, image, best)
        else:
            place = {"attack": attack_it(model, image, "inside-attack")}
        write_place("inside", model=model.id, image=name, view=view, **place)
