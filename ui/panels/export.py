"""A run's model in other forms, to download; and a bundle of another lab, to upload."""

from __future__ import annotations

from functools import partial

import streamlit as st

from mnist_core.models.card import Card
from mnist_core.runs.run import Run
from ui import actions, page

# form → label, ending of the file, its type, icon
FORMS = {
    "html": ("Page to draw at (HTML)", "html", "text/html", ":material/draw:"),
    "report": ("Report (HTML)", "html", "text/html", ":material/description:"),
    "onnx": ("ONNX", "onnx", "application/octet-stream", ":material/hub:"),
    "script": ("Script (Python)", "py", "text/x-python", ":material/code:"),
    "notebook": ("Notebook (Jupyter)", "ipynb", "application/x-ipynb+json", ":material/book:"),
    "card": ("For the Hugging Face Hub (.zip)", "zip", "application/zip", ":material/cloud_upload:"),
}


def take_along(run: Run, card: Card) -> None:
    """A button for each form, with a sentence on what it is, or why there is none."""
    from mnist_core.experiments.formats import FORMATS

    for form, (label, ending, kind, icon) in FORMS.items():
        reason = FORMATS[form].why_not(card)
        st.download_button(
            label,
            partial(actions.take_along, run, form),
            f"{run.id}.{ending}",
            kind,
            key=f"take-{form}",
            icon=icon,
            on_click="ignore",
            disabled=bool(reason),
        )
        st.caption(page.escape_markdown(reason) if reason else FORMATS[form].said)


def bring_bundle() -> None:
    """An upload of a bundle; the new run is shown at once."""
    file = st.file_uploader(
        "A bundle of another lab",
        type=["zip"],
        help="A .zip that Download bundle has made. It is checked, and becomes a run of yours.",
        key=f"bundle-{st.session_state.get('bundles-brought', 0)}",
    )
    if file is None:
        return
    with page.errors_as_messages():
        run = actions.import_bundle(file.getvalue(), file.name)
        st.session_state["run"] = run.id
        st.session_state["bundles-brought"] = st.session_state.get("bundles-brought", 0) + 1
        st.rerun()
