"""What pages say and offer while MNIST is not there."""

from __future__ import annotations

import contextlib

import streamlit as st

from mnist_core.data import data_folder, load_dataset, mnist_is_there
from mnist_core.download import download_mnist
from mnist_core.errors import LabError


def offer_mnist(key: str) -> bool:
    """Whether MNIST is there; where it is not, says so and offers the download."""
    folder = data_folder()
    if mnist_is_there(folder):
        return True
    with st.container(border=True):
        st.markdown(
            "**MNIST is not on this machine yet.** The lab works meanwhile with `digits`, 1,797 small handwritten "
            f"digits that are built in. MNIST has 70,000 larger ones: a download of 12 MB into `{folder.resolve()}`."
        )
        if st.button("Download MNIST", key=f"{key}-download", icon=":material/download:", type="primary"):
            _download()
    return False


def _download() -> None:
    bar = st.progress(0.0, "Asking the first mirror …")
    try:
        with contextlib.closing(download_mnist(data_folder())) as steps:
            for step in steps:
                share = step.done_bytes / step.total_bytes if step.total_bytes else 0.0
                bar.progress(
                    min((step.file_index - 1 + share) / step.file_count, 1.0),
                    f"File {step.file_index} of {step.file_count}: {step.done_bytes / 1e6:.1f} MB from {step.mirror}",
                )
        load_dataset("mnist", data_folder())
    except LabError as error:
        bar.empty()
        st.error(str(error), icon=":material/error:")
        return
    st.rerun()
