"""On Draw, below the answer: the drawing prepared in simpler ways, and made worse until the model fails. No torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from mnist_core.figures.classification import probability_bars
from mnist_core.figures.images import as_picture, data_url, enlarge
from mnist_core.runs.catalogue import Model, predictor
from ui import page

if TYPE_CHECKING:
    from ui.widgets.canvas import Drawing

WIDTH = 104  # px of a picture: three are as wide as a phone
LARGE = 168
RANDOM = ("noise", "rotation", "shift", "occlusion")  # corruptions that depend on a seed


def break_it(model: Model, drawing: Drawing | None, image: np.ndarray | None) -> None:
    """Two switches: of a `drawing` on the square canvas, three preparations side by side; of any model's input, (H, W)
    or (H, W, 3) uint8, what is left of the answer as it is corrupted."""
    if drawing is not None and drawing.wide:  # a number is read digit by digit
        return
    prepared = model.card.input_shape == (1, 28, 28) and model.card.preparation != "whole"
    with st.container(horizontal=True, gap="medium"):
        compared = (
            drawing is not None
            and prepared
            and st.toggle("Compare ways to prepare it", key="draw-preparations", persist_state="session")
        )
        broken = st.toggle("Break it", key="draw-break", persist_state="session")
    if drawing is not None and compared:
        _preparations(model, drawing.pixels)
    if broken:
        if image is None:
            st.caption("Draw something, and see how much noise, turning or covering the answer bears.")
        else:
            _break(model, image)


def _preparations(model: Model, pixels: np.ndarray | None) -> None:
    from mnist_core.drawing.naive import boxed, shrunk

    if pixels is None:
        st.caption("Draw something small, or in a corner, and see what preparation does for it.")
        return
    reader = predictor(model)
    given = reader.from_canvas(pixels)
    ways = (
        ("Only shrunk", shrunk(pixels)),
        ("Box centred", boxed(pixels)),
        ("As the lab does", reader.prepare(given)),
    )
    with st.container(horizontal=True, gap="small", key="draw-ways"):
        for title, image in ways:
            with st.container(width=WIDTH, gap=None):
                st.markdown(f"**{title}**" if title.startswith("As") else title)
                answer = reader.answer(image)
                said = "nothing" if answer.digit is None else model.card.classes[answer.digit]
                picture = np.zeros((28, 28), np.uint8) if image is None else image
                st.image(
                    data_url(enlarge(picture, 8)),
                    f"**{page.escape_markdown(said)}** · {answer.confidence:.0%}",
                    width=WIDTH,
                    alt=f"{title}: read as {said}",
                )
    st.caption(
        "The same drawing in three ways. *Only shrunk*: the whole canvas becomes 28×28 pixels. *Box centred*: "
        "the ink is cut out, made 20 pixels long and put into the middle by its outline. *As the lab does*: strokes "
        "also get the width of MNIST's, and the centre of mass lies in the middle, as in the images that the model "
        "learned from. Draw small, thin or in a corner to see the difference."
    )


@st.fragment
def _break(model: Model, image: np.ndarray) -> None:
    from mnist_core.inference.corruptions import corrupted, corruptions_for
    from ui.live.chart import live_chart  # imports plotly

    batch = image[None, None] if image.ndim == 2 else image.transpose(2, 0, 1)[None]
    kinds = corruptions_for(batch.shape[1])
    if st.session_state.get("draw-corruption") not in kinds:
        st.session_state["draw-corruption"] = next(iter(kinds))
    chosen = st.segmented_control(
        "Make it worse by",
        list(kinds),
        format_func=lambda name: kinds[name].title,
        required=True,
        key="draw-corruption",
        persist_state="session",
    )
    name = chosen or next(iter(kinds))
    kind, seed = kinds[name], int(st.session_state.get("draw-break-seed", 0))
    step = min(high - low for low, high in zip(kind.levels, kind.levels[1:], strict=False)) / 2
    level = st.slider(
        f"Strength: {kind.measure}",
        0.0,
        float(kind.levels[-1]),
        float(kind.levels[3]),
        float(step),
        format=kind.text(0).replace("0", "%g"),
        key=f"draw-strength-{name}",
        persist_state="session",
    )
    reader, classes = predictor(model), model.card.classes
    grid = sorted({*kind.levels, level})
    stages = np.concatenate([corrupted(batch, name, each, seed) for each in grid])
    probabilities = reader.probabilities(stages)
    now = grid.index(level)
    picture, bars = st.columns([1, 2.4], gap="medium", vertical_alignment="center")
    with picture:
        said = classes[int(probabilities[now].argmax())]
        st.image(
            data_url(enlarge(as_picture(stages[now]), max(1, 2 * LARGE // max(batch.shape[2:])))),
            f"Read as **{page.escape_markdown(said)}** · {probabilities[now].max():.0%}",
            width=LARGE,
            alt=f"The drawing with {kind.title.lower()}, {kind.text(level)}: read as {said}",
        )
    with bars:
        figure = probability_bars(probabilities[now], classes, int(probabilities[now].argmax()))
        live_chart(figure, key="The answer to the broken drawing", height=200)
    st.markdown(_until(kind.text, grid, probabilities.argmax(axis=1), [page.escape_markdown(c) for c in classes]))
    with st.container(horizontal=True, vertical_alignment="center"):
        if name in RANDOM:
            st.button(
                "Other random numbers",
                icon=":material/refresh:",
                key="draw-break-again",
                on_click=st.session_state.update,
                args=({"draw-break-seed": seed + 1},),
            )
        if "Results" in page.reachable():
            st.page_link(
                "pages/results.py",
                label="How it does on many test images",
                icon=":material/grid_on:",
                width="content",
                query_params={"model": model.id, "corruption": name},
            )
    st.caption(f"{kind.explanation} It happens to what the model sees, after preparation.")


def _until(text: Callable[[float], str], grid: list[float], answers: np.ndarray, names: list[str]) -> str:
    """A sentence: at which of the strengths in `grid` the first answer is lost."""
    lost = np.flatnonzero(answers != answers[0])
    first = names[int(answers[0])]
    if not len(lost):
        return f"It reads **{first}** at every strength, up to {page.escape_markdown(text(grid[-1]))}."
    place = int(lost[0])
    held = f"Up to {page.escape_markdown(text(grid[place - 1]))} it reads **{first}**; " if place > 1 else ""
    return f"{held}at {page.escape_markdown(text(grid[place]))} it reads **{names[int(answers[place])]}**."
