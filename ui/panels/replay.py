"""A run's snapshots: what each of them answers, and the images that were learned last or forgotten."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from mnist_core.data.dataset import Dataset
from mnist_core.errors import CheckpointError
from mnist_core.figures.images import as_picture, enlarge
from mnist_core.inference.learning import Answers, LearningOrder, answers, fixed_digits, learning_order, sample
from mnist_core.inference.predictor import Predictor
from mnist_core.models.checkpoint import Checkpoint
from mnist_core.models.weights_file import read_weights_file
from mnist_core.runs.catalogue import Model
from mnist_core.runs.frames import Picture, frames
from mnist_core.runs.run import Run
from mnist_core.runs.weight_snapshots import MOST_SHOWN, snapshots, thinned
from ui import cache, page
from ui.live.frames import show_frames
from ui.waiting import one_at_a_time
from ui.widgets import canvas
from ui.widgets.place import write_place

GALLERY, WIDTH = 12, 80  # images, px


@st.cache_resource(show_spinner=False, max_entries=2 * MOST_SHOWN)
def _checkpoint(path: Path, stamp: tuple[int, int]) -> Checkpoint:
    return read_weights_file(path)


@st.cache_resource(show_spinner=False, max_entries=2 * MOST_SHOWN)
def _answers(_checkpoint: Checkpoint, _data: Dataset, weights: str, data_sha256: str) -> Answers:
    rows = sample(len(_data.test_labels))
    return answers(_checkpoint, _data.test_images[rows], _data.test_labels[rows])


@st.cache_resource(show_spinner=False, max_entries=8)
def _frames(
    _run: Run, _kept: Sequence[Checkpoint], _found: Sequence[Answers], _data: Dataset, _picture: Picture, version: str
) -> dict[str, Any]:
    return {**frames(_run, _kept, _found, _data, _picture), "version": version}


def replay(run: Run) -> None:
    """The run's snapshots. Raises LabError where the images are not here or are others."""
    kept = _read(run)
    if not kept:
        return
    card = kept[-1].card
    data = cache.dataset(card.dataset, Model(run.id, run.folder, card, run))
    card.require(data.shape, data.title)
    found = _all_answers(kept, data)
    _player(run, kept, found, data)
    order = learning_order(np.stack([each.predicted == each.labels for each in found]))
    _learned_last(kept, found[-1], order, data)
    _forgotten(found[-1], order, data)


def _read(run: Run) -> list[Checkpoint]:
    """The snapshots that can be read, in order. What cannot is said in a sentence."""
    found, damaged, files = [], [], snapshots(run)
    for step in thinned(list(files)):
        try:
            stat = files[step].stat()
            found.append(_checkpoint(files[step], (stat.st_mtime_ns, stat.st_size)))
        except (CheckpointError, OSError) as error:
            damaged.append(str(error))
    if damaged:
        st.warning(f"Snapshots that cannot be read: {len(damaged)}. {damaged[0]}", icon=":material/warning:")
    return found


def _all_answers(kept: Sequence[Checkpoint], data: Dataset) -> list[Answers]:
    """What each snapshot says of the test images that are looked at."""
    images, found = len(sample(len(data.test_labels))), []
    with one_at_a_time(f"Reading {images:,} test images with each of {len(kept)} snapshots …") as progress:
        for number, checkpoint in enumerate(kept, 1):
            found.append(_answers(checkpoint, data, checkpoint.card.weights_sha256, data.fingerprint))
            progress(number / len(kept))
    return found


@st.fragment
def _player(run: Run, kept: Sequence[Checkpoint], found: Sequence[Answers], data: Dataset) -> None:
    """The frames. Where a person stops is written into the address, which reruns only this."""
    asked = st.session_state.pop("replay-step", None)  # by the address
    if asked is not None:
        st.session_state["replay-asked"] = st.session_state.get("replay-asked", 0) + 1
        st.session_state["replay-at"] = int(asked) if str(asked).isdecimal() else None

    def stopped(step: int) -> None:
        st.session_state["replay-at"] = step
        st.session_state["replay-sent"] = True

    picture = _picture(kept[-1], data)
    weights = [each.card.weights_sha256 for each in kept]
    version = hashlib.sha256(repr((weights, data.fingerprint, picture.image.tobytes())).encode()).hexdigest()
    at, times = st.session_state.get("replay-at"), st.session_state.get("replay-asked", 0)
    # a browser that says where it stopped has the frames already
    sent = st.session_state.pop("replay-sent", False)
    shown = {"version": version} if sent else _frames(run, kept, found, data, picture, version)
    show_frames({**shown, "at": at, "asked": times}, f"replay-{run.id}", stopped)
    write_place("replay", run=run.id, step=at)


def _picture(checkpoint: Checkpoint, data: Dataset) -> Picture:
    """The drawing on the session's canvas as the network reads it, else a test image."""
    pixels = canvas.drawn_pixels() if data.shape.channels == 1 else None
    if pixels is not None:
        reader = Predictor(checkpoint)
        image = reader.prepare(reader.from_canvas(pixels))
        if image is not None:
            return Picture(image[None], drawn=True)
    return Picture(data.test_images[fixed_digits(data.test_labels)[0]], drawn=False)


def _learned_last(kept: Sequence[Checkpoint], result: Answers, order: LearningOrder, data: Dataset) -> None:
    """The images that are right at the end, and were wrong until late."""
    st.subheader("Learned last", anchor=False)
    rows = order.last(GALLERY)
    never = int((order.learned == order.snapshots).sum())
    st.caption(
        f"Test images that the network reads right at the end, and was wrong on until late. At the end it is wrong "
        f"on {never:,} of the {len(result.labels):,}."
    )
    _gallery(rows, [f"from step {kept[order.learned[row]].card.step:,} on" for row in rows], result, data)


def _forgotten(result: Answers, order: LearningOrder, data: Dataset) -> None:
    """The images that went from right to wrong between two snapshots."""
    st.subheader("Learned and forgotten", anchor=False)
    rows, forgotten = order.often_forgotten(GALLERY), int((order.forgotten > 0).sum())
    st.caption(
        f"Read right in one snapshot and wrong in the next: {forgotten:,} of {len(result.labels):,} test images, at "
        "least once. Such images are often untypical or badly labelled (Toneva et al., 2019, who count this over the "
        "training images). Here they are only looked at: no training leaves them out."
    )
    ends = np.where(result.predicted == result.labels, "right", "wrong")
    words = [f"{order.forgotten[row]} × forgotten, {ends[row]} at the end" for row in rows]
    _gallery(rows, words, result, data)


def _gallery(rows: np.ndarray, words: Sequence[str], result: Answers, data: Dataset) -> None:
    """Images among those looked at, each with its label and a word."""
    images = data.test_images[sample(len(data.test_labels))]
    if not len(rows):
        st.caption("None.")
        return
    with st.container(horizontal=True, gap="small"):
        for row, word in zip(rows.tolist(), words, strict=True):
            label = page.escape_markdown(data.classes[result.labels[row]])
            picture = enlarge(as_picture(images[row]), max(2 * WIDTH // max(data.shape.height, data.shape.width), 1))
            st.image(picture, f"**{label}** · {word}", width=WIDTH, output_format="PNG", alt=f"A test image of {label}")
