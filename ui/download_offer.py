"""What pages say and offer while a dataset that can be downloaded is not there."""

from __future__ import annotations

import contextlib

import streamlit as st

from mnist_core.data.dataset import TITLES, dataset_title
from mnist_core.data.loading import is_there, load_dataset
from mnist_core.data.mirrors import SOURCES
from mnist_core.errors import LabError
from mnist_core.system.settings import data_folder
from ui import actions


def offer_download(name: str, key: str) -> bool:
    """Whether the dataset is there; where it is not, says so and offers the download."""
    folder = data_folder()
    if is_there(name, folder):
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
