"""One test image: why the model read it so, what taught it that, what would flip it, and what people say it is."""

from __future__ import annotations

import numpy as np
import streamlit as st

from mnist_core.data.dataset import Dataset
from mnist_core.explain.neighbours import features, nearest
from mnist_core.explain.votes import Votes
from mnist_core.figures.images import as_picture, enlarge
from mnist_core.figures.saliency import edit_figure
from mnist_core.inference.metrics import Evaluation
from mnist_core.runs.catalogue import Model
from mnist_core.system.settings import runs_folder
from ui import actions, explained, page
from ui.live.chart import live_chart
from ui.panels.answers import place
from ui.panels.attack import attack_it
from ui.panels.saliency import choose_layer, choose_method, has_maps, show_overlays
from ui.widgets.images import pictures

NO_CLASS = "none of them"


def one_image(model: Model, data: Dataset, result: Evaluation, row: int) -> None:
    """The view of one test image, with ways back and on."""
    true, said = int(result.labels[row]), int(result.predicted[row])
    names = [page.escape_markdown(name) for name in data.classes]
    _links(model, data, true, said, row)
    image = as_picture(data.test_images[row])
    st.subheader(f"Test image {row}: labelled {names[true]}, read as {names[said]}", anchor=False)
    shown, votes = st.columns([1, 2], gap="large")
    with shown:
        st.image(enlarge(image, 8), width=224, output_format="PNG", alt=f"Test image {row}")
        st.caption(f"The model is {result.confidence[row]:.1%} sure of {names[said]}.")
    with votes, page.errors_as_messages():
        _votes(data, row)
    with page.errors_as_messages():
        _saliency(model, image, true, said, names)
    near, flip = st.columns([1.4, 1], gap="large")
    with near, page.errors_as_messages():
        _neighbours(model, data, row)
    with flip, page.errors_as_messages():
        _edit(model, image, true, said, names)
    _attack(model, image)


def _links(model: Model, data: Dataset, true: int, said: int, row: int) -> None:
    here = f"test:{row}"
    with st.container(horizontal=True):
        st.page_link(
            "pages/results.py",
            label=f"All {data.classes[true]} read as {data.classes[said]}",
            icon=":material/arrow_back:",
            query_params=place(model, data, true=true, predicted=said),
        )
        if data.name != model.card.dataset:
            return
        where = {"model": model.id, "image": here}
        st.page_link("pages/inside.py", label="Look inside", icon=":material/visibility:", query_params=where)
        if model.card.shape.channels == 1 and "Draw" in page.reachable():
            st.page_link("pages/draw.py", label="Open in Draw", icon=":material/draw:", query_params=where)


def _votes(data: Dataset, row: int) -> None:
    """What would you say? Votes are kept in the folder of the runs."""
    st.markdown("**What would you say it is?**")
    voted = f"voted-{data.fingerprint}-{row}"
    if not actions.changeable():
        st.caption("This lab keeps no votes: nothing can be changed here (MNIST_LAB_MODE).")
    elif voted in st.session_state:
        st.caption(f"Thank you: you said {page.escape_markdown(st.session_state[voted])}.")
    else:
        choice = st.selectbox(
            "Your vote", [*data.classes, NO_CLASS], index=None, placeholder="Look first, then choose", key=f"vote-{row}"
        )
        if st.button("Vote", icon=":material/how_to_vote:", disabled=choice is None) and choice is not None:
            actions.vote(data.fingerprint, row, choice)
            st.session_state[voted] = choice
            st.rerun()
    counted = Votes(runs_folder()).count(data.fingerprint, row)
    label = page.escape_markdown(data.classes[int(data.test_labels[row])])
    others = ", ".join(f"{page.escape_markdown(name)}: {count}" for name, count in counted.most_common())
    st.caption(f"The label says {label}. Votes so far: {others or 'none'}. They change no label and no score.")


def _saliency(model: Model, image: np.ndarray, true: int, said: int, names: list[str]) -> None:
    st.subheader("What the network looked at", anchor=False)
    method = choose_method(model, has_maps(model, image), "results-method")
    layer = choose_layer(model, image, "results-camlayer") if method == "grad-cam" else None
    targets = [true] if true == said else [true, said]
    captions = [f"**For {names[true]}**, its label"]
    if true == said:
        captions = [f"**For {names[true]}**, its label and the answer"]
    else:
        captions.append(f"**For {names[said]}**, the answer")
    show_overlays(model, image, method, targets, 0.7, layer, captions)


@st.fragment
def _attack(model: Model, image: np.ndarray) -> None:
    st.subheader("Attack it: a small change, another answer", anchor=False)
    if st.toggle("Attack this image", key="results-attack-on", persist_state="session"):
        with page.errors_as_messages():
            attack_it(model, image, "results-attack")


def _neighbours(model: Model, data: Dataset, row: int) -> None:
    st.subheader("Which training images taught it that", anchor=False)
    bank = explained.bank(model, data)
    found = nearest(bank, features(explained.network(model), data.test_images[row : row + 1])[0])
    labels = [page.escape_markdown(data.classes[int(data.train_labels[near])]) for near in found.rows]
    captions = [f"**{label}** · {away:.2f}" for label, away in zip(labels, found.distances, strict=True)]
    pictures(data.train_images[found.rows], captions, width=88)
    st.caption(
        "The eight nearest by the network's own last features, with their labels and distances (Euclidean), nearest "
        "first."
    )


def _edit(model: Model, image: np.ndarray, true: int, said: int, names: list[str]) -> None:
    st.subheader("The smallest edit that flips it", anchor=False)
    edit = explained.edit(model, image, None if true == said else true)
    if edit is None:
        st.caption("No edit of 60 pixels or fewer was found.")
        return
    live_chart(edit_figure(as_picture(edit.image), edit.changed), key="The edited image", height=260)
    pixels = "1 pixel" if edit.pixels == 1 else f"{edit.pixels} pixels"
    st.caption(
        f"With {pixels} set to black or white (framed) it reads {names[edit.after]}, {edit.confidence:.1%} sure. "
        "Found by a greedy saliency-map attack (after Papernot et al., 2015) and checked; a smaller edit may exist."
    )
