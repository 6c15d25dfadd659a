"""The datasets that a person can choose, their own included."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from mnist_core.data.dataset import TITLES, dataset_title
from mnist_core.data.loading import DATASETS
from mnist_core.errors import ConfigError
from ui import actions, cache, page

OWN = {"folder": "Your own pictures …", "drawings": "Your own pen strokes …"}
PATH_LABEL = {"folder": "Folder or .zip of pictures", "drawings": "File of pen strokes (.json or .json.gz)"}
PATH_HELP = {
    "folder": (
        "A path on the machine where the lab runs. In it, one folder a class: `train/cat/1.png`, `train/dog/1.png`, … "
        "and `test/cat/…` for the pictures that judge. Without `train` and `test`, with the class folders alone, one "
        "fifth of each class is held out as test. 2 to 100 classes; PNG, JPEG, GIF, BMP, WebP or TIFF."
    ),
    "drawings": (
        "A path on the machine where the lab runs. In the file: "
        '`{"box": [w, h], "y_axis": "up", "digits": [{"label": 7, "strokes": [[[x, y], …], …], "writer": 12}, …]}`. '
        "Where writers are given, the last fifth of them is the test part."
    ),
}


def preset_dataset(key: str, name: str) -> None:
    """Makes the chooser of that key begin at `name`. Raises ConfigError when there is no such dataset."""
    kind, _, path = name.partition(":")
    if kind in _own():
        st.session_state[f"{key}-{kind}"] = path
    elif name not in DATASETS:
        raise ConfigError(f"There is no dataset '{name[:100]}'; there are: {', '.join([*DATASETS, *_own()])}.")
    st.session_state[key] = kind


def _own() -> dict[str, str]:
    """A path is asked only of those who may also train: it lets them see which folders the machine has."""
    return OWN if actions.changeable() else {}


def choose_dataset(label: str, default: str, key: str, known: Sequence[str] | None = None) -> str | None:
    """A select box over `known` (default: all) and a person's own → a name for `house.dataset`.

    A person's own are asked for by their path; None, and why, while they cannot be read. What is in `known` may not be
    there yet.
    """
    known = known or DATASETS
    kind = st.selectbox(
        label,
        [*known, *_own()],
        index=list(known).index(default),
        format_func=lambda name: OWN.get(name) or TITLES.get(name) or dataset_title(name),
        key=key,
        persist_state="session",
    )
    if kind not in _own():
        return kind
    path = st.text_input(
        PATH_LABEL[kind],
        placeholder="/home/ann/pictures or ~/pictures.zip" if kind == "folder" else "~/strokes.json.gz",
        help=PATH_HELP[kind],
        key=f"{key}-{kind}",
        persist_state="session",
    ).strip()
    if not path:
        st.caption("Type where it is and press Enter. The question mark tells what must be in it.")
        return None
    with page.sentences():
        return cache.dataset(f"{kind}:{path}").name
    return None
