"""How much a model bears: its accuracy on test images that are corrupted more and more, and what that looks like."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from mnist_core.data.dataset import Dataset
from mnist_core.errors import LabError
from mnist_core.figures.images import as_picture, data_url, enlarge
from mnist_core.inference.metrics import Evaluation
from mnist_core.runs.catalogue import Model, models, predictor
from ui import cache, page
from ui.labels import model_label
from ui.live.chart import live_chart
from ui.panels.answers import PLACE
from ui.waiting import one_at_a_time
from ui.widgets.place import write_part

if TYPE_CHECKING:
    from mnist_core.inference.robustness import Robustness

KEY = "results-corruption"
ALL = "all"
COUNTS = (1000, 300)
WIDTH = 96  # px of a picture
SOURCES = (
    "After Hendrycks and Dietterich, [Benchmarking Neural Network Robustness](https://arxiv.org/abs/1903.12261), 2019, "
    "and Mu and Gilmer, [MNIST-C](https://arxiv.org/abs/1906.02337), 2019; strokes after Castro et al., "
    "[Morpho-MNIST](https://arxiv.org/abs/1809.08044), 2019."
)


@st.fragment
def robustness(model: Model, data: Dataset, result: Evaluation) -> None:
    """A choice of corruption; its curve, a sentence on where each model fails, and one image at each level."""
    from mnist_core.inference.corruptions import corruptions_for

    st.subheader("Break it: how much does it bear?")
    kinds = corruptions_for(data.shape.channels)
    if (asked := st.session_state.get(KEY)) not in (None, ALL, *kinds):
        st.session_state[KEY] = None
        st.warning(f"There is no corruption '{page.escape_markdown(str(asked)[:60])}' of such images.")
    chosen = st.segmented_control(
        "Make the test images worse by",
        [*kinds, ALL],
        format_func=lambda name: "All of them" if name == ALL else kinds[name].title,
        key=KEY,
        persist_state="session",
    )
    write_part("results", ("model", *PLACE), corruption=chosen)
    if chosen is None:
        st.caption("Choose one: the model reads them at eight strengths, from none to severe. It takes seconds.")
        return
    with page.errors_as_messages():
        against, rows = _choices(model, data)
        if chosen == ALL:
            _table(against, data, rows, list(kinds))
        else:
            _one(model, against, data, result, rows, chosen)


def _choices(model: Model, data: Dataset) -> tuple[list[Model], np.ndarray]:
    """The models to try, `model` first, and the rows of the test images to try them on."""
    from mnist_core.figures.robustness import MOST_LINES
    from mnist_core.inference.robustness import sample

    others = {each.id: each for each in models() if each.id != model.id and each.card.shape == model.card.shape}
    left, right = st.columns([2, 1])
    chosen = left.multiselect(
        "Compare with",
        list(others),
        format_func=lambda name: model_label(others[name]),
        max_selections=MOST_LINES - 1,
        placeholder="Other models",
        key=f"robustness-beside-{model.id}",
        persist_state="session",
    )
    images = len(data.test_labels)
    counts = sorted({min(count, images) for count in COUNTS}, reverse=True)
    count = right.segmented_control(
        "Test images",
        counts,
        default=counts[0],
        required=True,
        format_func="{:,}".format,
        help="Drawn once, with seed 0, the same for all models. Fewer are faster and tell less: see the intervals.",
        key=f"robustness-images-{counts[0]}",
        persist_state="session",
    )
    for other in chosen:
        if cache.dataset(data.name, others[other]).fingerprint != data.fingerprint:
            raise LabError(
                f"{others[other].card.name} keeps other images for testing, so both cannot be compared on the same."
            )
    return [model, *(others[name] for name in chosen)], sample(images, count or counts[0])


@st.cache_resource(show_spinner=False, max_entries=400)
def _curve(
    _model: Model,
    weights: tuple[str, float],
    _images: np.ndarray,
    _labels: np.ndarray,
    data_sha256: str,
    count: int,
    corruption: str,
    _which: str,
) -> Robustness:
    from mnist_core.inference import robustness as library

    with one_at_a_time(
        f"{corruption.capitalize()}{_which}: {count:,} test images with {_model.card.name} …"
    ) as progress:
        return library.robustness(predictor(_model).network, _images, _labels, corruption, progress)


def curve(model: Model, data: Dataset, rows: np.ndarray, corruption: str, which: str = "") -> Robustness:
    """A model's accuracy at each level, on the test images `rows`; kept by weights, data and the number of images.

    `which` of several it is stands beside the progress bar.
    """
    weights = model.card.weights_sha256, model.card.temperature
    images, labels = data.test_images[rows], data.test_labels[rows]
    return _curve(model, weights, images, labels, data.fingerprint, len(rows), corruption, which)


def _one(
    model: Model, against: list[Model], data: Dataset, result: Evaluation, rows: np.ndarray, corruption: str
) -> None:
    from mnist_core.figures.robustness import robustness_figure
    from mnist_core.inference.corruptions import get_corruption
    from mnist_core.inference.robustness import verdict

    curves = {_name(each, against): curve(each, data, rows, corruption) for each in against}
    sentences = [verdict(found) for found in curves.values()]
    if len(against) == 1:
        st.markdown(f"**{page.escape_markdown(sentences[0])}**")
    else:
        pairs = zip(curves, sentences, strict=True)
        st.markdown("\n".join(f"- **{page.escape_markdown(n)}**: {page.escape_markdown(said)}" for n, said in pairs))
    kind = get_corruption(corruption)
    live_chart(robustness_figure(curves), key=f"Accuracy by strength: {kind.title}", height=340)
    _strip(model, data, result, rows, corruption)
    st.caption(
        f"{kind.explanation} It happens to the model's input, after any preparation. A model *fails* here at the first "
        "strength where it reads less than nine tenths of what it reads without; the cross in the curve. Lines on "
        f"points and brackets are 95 % intervals (Wilson) of {len(rows):,} test images. {SOURCES}"
    )


def _name(model: Model, among: list[Model]) -> str:
    """The model's name, with its run where others of these have the same."""
    same = sum(other.card.name == model.card.name for other in among) > 1
    return f"{model.card.name} ({model.id})" if same else model.card.name


@st.cache_data(show_spinner=False, max_entries=64)
def _example(_images: np.ndarray, data_sha256: str, count: int, place: int, corruption: str) -> np.ndarray:
    from mnist_core.inference.corruptions import example

    return example(_images, place, corruption)


def _strip(model: Model, data: Dataset, result: Evaluation, rows: np.ndarray, corruption: str) -> None:
    """One test image at each level, with the model's answer; of those that it reads right as they are."""
    from mnist_core.inference.corruptions import get_corruption

    kind, right = get_corruption(corruption), np.flatnonzero(result.right[rows])
    if not len(right):
        return
    number = int(st.session_state.get("robustness-example", 0)) % len(right)
    place = int(right[number])
    shown = _example(data.test_images[rows], data.fingerprint, len(rows), place, corruption)
    probabilities = predictor(model).probabilities(shown)
    label = page.escape_markdown(data.classes[int(data.test_labels[rows[place]])])
    st.markdown(f"Test image {rows[place]}, labelled **{label}**, as {page.escape_markdown(model.card.name)} reads it:")
    factor = max(2 * WIDTH // max(shown.shape[2:]), 1)
    with st.container(horizontal=True, gap="small", key="robustness-strip"):
        for level, image, chances in zip(kind.levels, shown, probabilities, strict=True):
            said = page.escape_markdown(data.classes[int(chances.argmax())])
            strength = kind.text(level) if level else "none"
            answer = f"**{said}**" if said == label else f"**:red[{said}]**"
            st.image(
                data_url(enlarge(as_picture(image), factor)),
                f"{page.escape_markdown(strength)}: {answer} · {chances.max():.0%}",
                width=WIDTH,
                alt=f"Test image {rows[place]} with {kind.title.lower()}, {strength}: read as {said}",
            )
    st.button(
        "Another image",
        icon=":material/refresh:",
        key="robustness-another",
        on_click=st.session_state.update,
        args=({"robustness-example": number + 1},),
    )


def _table(against: list[Model], data: Dataset, rows: np.ndarray, kinds: list[str]) -> None:
    """For each corruption, where each model fails."""
    from mnist_core.inference.corruptions import get_corruption
    from mnist_core.inference.robustness import share_text

    lines = []
    for number, name in enumerate(kinds, 1):
        kind, line = get_corruption(name), dict[str, str | None]()
        for model in against:
            found = curve(model, data, rows, name, f" ({number} of {len(kinds)})")
            place = found.fails_at
            strength = "bears all levels" if place is None else kind.text(found.levels[place])
            if not found.measurable:
                strength = "cannot be told"
            title = _name(model, against)
            line[f"{title} fails at"] = strength
            line[f"{title}, right there"] = None if place is None else share_text(found, place)
        lines.append({"corruption": kind.title, **line, "last level": kind.text(kind.levels[-1])})
    st.dataframe(lines, hide_index=True, placeholder="–")
    st.caption(
        "A model fails at the first of eight strengths where it reads less than nine tenths of what it reads without. "
        f"In brackets the 95 % interval (Wilson) of {len(rows):,} test images. Strengths of different kinds cannot be "
        "compared with each other. "
        f"{SOURCES}"
    )
