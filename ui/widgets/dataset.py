"""The choice of a dataset, including a person's own, and the download of one that is missing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

import streamlit as st

from mnist_core.data.dataset import TITLES, dataset_title
from mnist_core.data.loading import DATASETS, is_available, load_dataset
from mnist_core.data.mirrors import SOURCES
from mnist_core.errors import ConfigError, LabError
from mnist_core.system.settings import data_folder
from ui import actions, cache, page
from ui.hidden import hidden

OWN = {
    "folder": "Your own pictures …",
    "drawings": "Your own pen strokes …",
    "csv": "A table of pixels (CSV) …",
    "npz": "A NumPy file …",
    "parquet": "A Parquet file …",
    "idx": "IDX files, as MNIST has …",
}
PATH_LABEL = {
    "folder": "Folder, .zip or .tar of pictures",
    "drawings": "File of pen strokes (.json or .json.gz)",
    "csv": "CSV file, or a folder with a train and a test file",
    "npz": "File (.npz)",
    "parquet": "File (.parquet), or a folder of them",
    "idx": "Folder of the four IDX files",
}
PATH_EXAMPLE = {
    "folder": "/home/ann/pictures or ~/pictures.zip",
    "drawings": "~/strokes.json.gz",
    "csv": "~/mnist_train.csv",
    "npz": "~/mnist.npz",
    "parquet": "~/train.parquet",
    "idx": "~/MNIST/raw",
}
_ONE_FIFTH = "Without a test part, one fifth of each class is held out as test."
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
    "csv": (
        "A path on the machine where the lab runs. A row an image: its label first or last, or one-hot, and its "
        f"pixels, grey or in colour, with or without a line of names. {_ONE_FIFTH}"
    ),
    "npz": (
        "A path on the machine where the lab runs. `x_train`, `y_train`, `x_test`, `y_test`, as Keras has it. "
        f"{_ONE_FIFTH}"
    ),
    "parquet": (
        "A path on the machine where the lab runs. The columns `image`, of pictures or of lists of pixels, and "
        f"`label`, as on the Hub. {_ONE_FIFTH}"
    ),
    "idx": (
        "A path on the machine where the lab runs. Images and labels of the training and the test part, packed or not."
    ),
}


def preset_dataset(key: str, name: str) -> None:
    """Sets the select box of that key to the dataset `name`. Raises ConfigError when there is no such dataset."""
    kind, _, path = name.partition(":")
    if kind in _own():
        st.session_state[f"{key}-{kind}"] = path
        name = kind
    elif name not in DATASETS:
        raise ConfigError(f"There is no dataset '{name[:100]}'; there are: {', '.join([*DATASETS, *_own()])}.")
    st.session_state[key] = name


def _own() -> dict[str, str]:
    """Paths are accepted only from visitors who may also train, as they reveal which folders the machine has."""
    return OWN if actions.changeable() else {}


def choose_dataset(
    label: str,
    default: str,
    key: str,
    known: Sequence[str] | None = None,
    *,
    check: bool = True,
    preparation: Callable[[str], str] = lambda name: "auto",
) -> str | None:
    """A select box over `known` (default: all) and a person's own datasets → a name for `cache.dataset`.

    A person's own is chosen by its path; None, with a message, while it cannot be read (which is not tried where
    `check` is off). It is tried with the `preparation` of that dataset, so that it is read once where the page reads it
    with the same. Datasets in `known` may be missing on this machine.
    """
    known = known or DATASETS
    if hidden("dataset") and (kept := st.session_state.setdefault(key, default)) in known:
        return str(kept)
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
        placeholder=PATH_EXAMPLE[kind],
        help=PATH_HELP[kind],
        key=f"{key}-{kind}",
        persist_state="session",
    ).strip()
    if not path:
        st.caption("Type where it is and press Enter. The question mark tells what must be in it.")
        return None
    name = f"{kind}:{path}"
    if not check:
        return name
    with page.errors_as_messages():
        return cache.dataset(name, preparation=preparation(name)).name
    return None


def offer_download(name: str, key: str) -> bool:
    """Whether the dataset is on this machine; if not, shows the offer to download it."""
    folder = data_folder()
    if is_available(name, folder):
        return True
    title = dataset_title(name)
    if not actions.changeable():
        st.info(f"{title} is not on this machine.", icon=":material/info:")
        return False
    with st.container(border=True):
        st.markdown(
            f"**{title} is not on this machine yet.** The lab works meanwhile with `digits`, 1,797 small handwritten "
            f"digits that are built in. {TITLES[name]} is a download of {SOURCES[name]} into `{folder.resolve()}`."
        )
        if st.button(f"Download {title}", key=f"{key}-download", icon=":material/download:", type="primary"):
            _download(name)
    return False


def _download(name: str) -> None:
    bar = st.progress(0.0, "Asking the first mirror …")
    try:
        with contextlib.closing(actions.fetch(name)) as steps:
            for step in steps:
                share = step.done_bytes / step.total_bytes if step.total_bytes else 0.0
                bar.progress(
                    min((step.file_index - 1 + share) / step.file_count, 1.0),
                    f"File {step.file_index} of {step.file_count}: {step.done_bytes / 1e6:.1f} MB from {step.mirror}",
                )
        load_dataset(name, data_folder())
    except LabError as error:
        bar.empty()
        st.error(str(error), icon=":material/error:")
        return
    st.rerun()
