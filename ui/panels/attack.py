"""An attack on one image: as little change as makes the model answer something else, and what that changes inside."""

from __future__ import annotations

import zlib

import numpy as np
import streamlit as st

from mnist_core.explain.adversarial import METHODS, MOST, STEPS, Attack, Method, layer_changes
from mnist_core.figures.classification import probability_bars
from mnist_core.figures.images import as_picture, data_url, enlarge
from mnist_core.figures.tiles import map_picture, unit_bars
from mnist_core.runs.catalogue import Model
from ui import explained, page
from ui.live.chart import live_chart
from ui.panels.layers import shown_layers

TITLES: dict[Method, str] = {"fgsm": "FGSM: one step", "pgd": f"PGD: {STEPS} steps"}
SAYS: dict[Method, str] = {
    "fgsm": "All pixels move at once by the whole strength, each in the direction that raises the loss of the answer "
    "(the sign of the gradient): [Goodfellow et al., 2015](https://arxiv.org/abs/1412.6572).",
    "pgd": f"{STEPS} small steps along the sign of the gradient, each an eighth of the strength and brought back to "
    "within the strength, from a random start (seed 0): [Madry et al., 2018](https://arxiv.org/abs/1706.06083).",
}
SIDE = 200  # px of a picture
MOST_MAPS = 16  # of a layer, those that change most
MAPS_WIDTH = 300


def attack_it(model: Model, image: np.ndarray, key: str) -> str:
    """A model's input, (H, W) or (H, W, 3) uint8, and its attack with a slider; → the method that is chosen.

    Session `key` keeps the method.
    """
    if st.session_state.get(key) not in METHODS:
        st.session_state[key] = METHODS[0]
    chosen = st.segmented_control(
        "Attack", METHODS, format_func=TITLES.__getitem__, required=True, key=key, persist_state="session"
    )
    method: Method = chosen or METHODS[0]
    weakest = explained.weakest_attack(model, image, method)
    number = zlib.crc32(image.tobytes() + model.card.weights_sha256.encode())
    strength = st.slider(
        "Strength: how far a pixel may move, in grey levels of 255",
        1,
        MOST,
        weakest or MOST,
        help="It begins at the weakest that was found to work.",
        key=f"{key}-strength-{method}-{number}",
    )
    found = explained.attacked(model, image, method, strength)
    names = [page.escape_markdown(name) for name in model.card.classes]
    st.markdown(f"**{_weakest(weakest)}** {_answers(names, found, strength)}")
    _pictures(found, strength, model.card.classes, names)
    st.caption(f"{SAYS[method]} No pixel leaves 0 to 255, and all stay whole levels: it is a picture like any other.")
    _inside(model, found, f"{key}-layer")
    return method


def _weakest(weakest: int | None) -> str:
    if weakest is None:
        return f"Up to {MOST} of 255 grey levels, half of all, this attack does not change the answer."
    levels = "1 grey level" if weakest == 1 else f"{weakest} grey levels"
    return f"The weakest attack found that changes the answer moves pixels by {levels} of 255 ({weakest / 255:.1%})."


def _answers(names: list[str], found: Attack, strength: int) -> str:
    before, after = (int(answer) for answer in found.answers)
    sure = found.probabilities[1, after]
    if before == after:
        return f"At {strength} it still reads {names[before]}, {sure:.1%} sure."
    return f"At {strength} it reads {names[after]} in place of {names[before]}, {sure:.1%} sure."


def _pictures(found: Attack, strength: int, classes: list[str], names: list[str]) -> None:
    change = found.change(1)
    shown = np.rint(127.5 + change * (127.5 / strength)).astype(np.uint8)
    before, after = (int(answer) for answer in found.answers)
    columns = st.columns(3, gap="large")
    parts = (
        (found.images[0], f"The image, read as **{names[before]}**", f"The image, read as {classes[before]}"),
        (
            shown,
            f"What is added, {127.5 / strength:.3g} times as strong; middle grey is nothing",
            "What the attack adds, enhanced",
        ),
        (found.images[1], f"Both together, read as **{names[after]}**", f"The result, read as {classes[after]}"),
    )
    factor = max(1, 2 * SIDE // max(shown.shape[1:]))
    for column, (picture, caption, alt) in zip(columns, parts, strict=True):
        with column:
            st.image(data_url(enlarge(as_picture(picture), factor)), caption, width=SIDE, alt=alt)
    for place, title in ((0, "Before the attack"), (1, "After the attack")):
        with columns[2 * place]:
            bars = probability_bars(found.probabilities[place], classes, int(found.answers[place]))
            live_chart(bars, key=title, height=200)


def _inside(model: Model, found: Attack, key: str) -> None:
    """How much each layer's answer changes, and the maps of one layer before and after."""
    before, after = (explained.layers(model, as_picture(image)) for image in found.images)
    layers = {one.name: (one, other) for one, other in zip(shown_layers(before), shown_layers(after), strict=True)}
    changes = {name: share for name, share in layer_changes(before, after).items() if name in layers}
    most = max(changes, key=lambda name: changes[name])
    titles = {name: f"{place}. {layers[name][0].title}" for place, name in enumerate(layers, 1)}
    st.markdown("**What changes inside**")
    first = next(iter(changes))
    grows = "what is small in the image grows on its way" if changes[most] > 2 * changes[first] else "it hardly grows"
    st.markdown(
        f"Most changes in layer {page.escape_markdown(titles[most])}: by {changes[most]:.0%} of its answer, against "
        f"{changes[first]:.0%} in the first: {grows}."
    )
    chart, maps = st.columns([1, 1.2], gap="large")
    with chart:
        shares = np.array([min(share, 99.0) for share in changes.values()])
        bars = unit_bars(shares, list(changes).index(most), [title.partition(".")[0] for title in titles.values()])
        bars.update_layout(xaxis_title="layer", yaxis_title="relative change", yaxis_tickformat=".0%")
        live_chart(bars, key="Relative change of each layer", height=260)
        st.caption("How far a layer's answer moves, over its length: ‖after − before‖ / ‖before‖ (Euclidean).")
    with maps:
        if st.session_state.get(key) not in layers:
            st.session_state[key] = most
        chosen = st.selectbox("Layer", list(layers), format_func=titles.__getitem__, key=key)
        one, other = (layer.output if layer.has_maps else layer.output[:, None, None] for layer in layers[chosen])
        moved = np.abs(other - one).mean(axis=(1, 2))
        kept = np.sort(np.argsort(-moved, kind="stable")[:MOST_MAPS])
        limit = float(max(np.abs(one[kept]).max(), np.abs(other[kept]).max()))
        with st.container(horizontal=True, gap="small"):
            for values, when in ((one, "before"), (other, "after")):
                tiles = values[kept] if values.shape[1] > 1 else values[kept].repeat(4, axis=1).repeat(4, axis=2)
                marked = int(np.flatnonzero(kept == moved.argmax())[0])
                picture = map_picture(tiles, marked, least=MAPS_WIDTH, limit=limit)
                st.image(data_url(picture), when, width=MAPS_WIDTH, alt=f"Layer {titles[chosen]} {when} the attack")
        many = f"The {len(kept)} of {len(one)} units that change most" if len(kept) < len(one) else "All units"
        st.caption(f"{many}, both on one scale; the one that changes most, {int(moved.argmax())}, is framed.")
