"""Where a model looked: a saliency map over an image, and what it can and cannot say."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from mnist_core.errors import LabError
from mnist_core.explain.faithfulness import is_measured, record, shown_methods
from mnist_core.explain.saliency import METHODS, Method, last_maps, map_layers
from mnist_core.figures.saliency import overlay_figure
from mnist_core.runs.catalogue import Model
from ui import explained, page
from ui.live.chart import live_chart
from ui.widgets.place import number

TITLES: dict[Method, str] = {
    "integrated-gradients": "Integrated gradients",
    "grad-cam": "Grad-CAM",
    "occlusion": "Occlusion",
}
SAYS: dict[Method, str] = {
    "integrated-gradients": "It shares out the class's score among the pixels, along the way from an empty picture. It "
    "cannot say what the pixels mean together, and what an empty picture is was chosen by us.",
    "grad-cam": "It shows in which region a layer's maps speak for the class. It is as coarse as these maps, shows "
    "nothing that speaks against the class, and cannot tell single pixels apart.",
    "occlusion": "It shows how much the score falls when a small window is covered. It cannot see what matters only "
    "together with something far away, and covered pictures are unlike those that the model learned from.",
}


def offered(model: Model, has_maps: bool) -> list[Method]:
    """The methods that did not fail for these weights, Grad-CAM only where there are maps."""
    return [m for m in shown_methods(model.card.weights_sha256) if has_maps or m != "grad-cam"]


def choose_method(model: Model, has_maps: bool, key: str) -> Method:
    """A choice of methods; session `key` keeps it. Says which are left out and why."""
    methods = offered(model, has_maps)
    if st.session_state.get(key) not in methods:
        st.session_state[key] = methods[0]
    method = st.segmented_control(
        "Method", methods, format_func=TITLES.__getitem__, required=True, key=key, persist_state="session"
    )
    failed = [TITLES[m] for m in METHODS if m not in shown_methods(model.card.weights_sha256)]
    if failed:
        st.caption(
            f"{' and '.join(failed)} is not offered for this model: blanking what it marks did not matter more than "
            "blanking ink at random (docs/measurements.md)."
        )
    return method or methods[0]


def choose_class(model: Model, answer: int, key: str) -> int:
    """The class to explain: one that is chosen, or the answer, whatever it is. Session `key` is None for the answer."""
    classes = model.card.classes
    if st.session_state.get(key) is not None:
        number(key, len(classes))
    chosen = st.selectbox(
        "For the class",
        [None, *range(len(classes))],
        format_func=lambda c: f"its answer ({classes[answer]})" if c is None else classes[c],
        key=key,
    )
    return answer if chosen is None else chosen


def choose_layer(model: Model, image: np.ndarray, key: str) -> str | None:
    """The layer that Grad-CAM looks at."""
    found = explained.layers(model, image)
    maps = {activation.name: activation for activation in map_layers(found)}
    if st.session_state.get(key) not in maps:
        st.session_state[key] = last_maps(found)
    chosen: str = st.selectbox(
        "At the layer", list(maps), format_func=lambda name: f"{name}: {maps[name].title}", key=key
    )
    return chosen


def show_overlays(
    model: Model,
    image: np.ndarray,
    method: Method,
    targets: list[int],
    opacity: float,
    layer: str | None = None,
    captions: list[str] | None = None,
) -> None:
    """The map of each class in `targets` over the image, all on one scale, and a sentence on what the method says."""
    maps = [explained.saliency_map(model, image, method, target, layer) for target in targets]
    limit = max(float(np.abs(found.map).max()) for found in maps) or None
    names = model.card.classes
    for place, (column, found) in enumerate(zip(st.columns(max(2, len(maps))), maps, strict=False)):
        with column:
            if captions:
                st.markdown(captions[place])
            overlay = overlay_figure(image, found.map, opacity, limit)
            live_chart(overlay, key=f"What speaks for {names[found.target]}", height=330)
            name = page.escape_markdown(names[found.target])
            st.caption(
                f"Blue speaks for {name}, orange against it. Score of {name}: {found.score:.2f}; of an empty picture: "
                f"{found.baseline_score:.2f}."
                + (
                    f" The map adds up to the difference, but for {found.completeness_error:.3f}."
                    if method == "integrated-gradients"
                    else ""
                )
            )
    st.caption(f"**{TITLES[method]}.** {SAYS[method]} {_held_to_account(model, method)}")


def _held_to_account(model: Model, method: Method) -> str:
    sha256 = model.card.weights_sha256
    if not is_measured(sha256):
        return "How far it can be believed was measured for the shipped models only, not for this one."
    row: dict[str, Any] = next(r for r in record() if r["weights_sha256"] == sha256 and r["method"] == method)
    return (
        f"Held to account: blanking the tenth of ink that it marks most lowers the answer's probability by "
        f"{row['mean']:.1%} more than blanking as much at random ({row['low']:.1%} to {row['high']:.1%}, "
        f"{row['images']} test images)."
    )


def has_maps(model: Model, image: np.ndarray) -> bool:
    """Whether Grad-CAM finds maps in this network."""
    try:
        last_maps(explained.layers(model, image))
    except LabError:
        return False
    return True
