"""The mapping of a dataset's class names to a model's, where they differ."""

from __future__ import annotations

import streamlit as st

from mnist_core.data.classes import ClassesError

UNMAPPED = "–"


def map_classes(error: ClassesError, key: str) -> None:
    """A small table with a row per class of the dataset; its button puts "theirs=mine,…" under `key` of the session."""
    st.warning(
        "The dataset names its classes otherwise than the model, so no figure would mean anything. Say which is which"
        + (": the table holds what the names suggest." if error.suggestion else "."),
        icon=":material/label_off:",
    )
    rows = [{"theirs": name, "mine": error.suggestion.get(name, UNMAPPED)} for name in error.theirs]
    edited = st.data_editor(
        rows,
        hide_index=True,
        width=360,
        height=min(38 + 35 * len(rows), 420),
        disabled=["theirs"],
        column_config={
            "theirs": st.column_config.TextColumn("Class of the dataset"),
            "mine": st.column_config.SelectboxColumn(
                "Class of the model", options=[UNMAPPED, *error.mine], required=True
            ),
        },
        key=f"{key}-table",
    )
    pairs = [(row["theirs"], row["mine"]) for row in edited if row["mine"] != UNMAPPED]
    whole = len(pairs) == len(rows) and len({mine for _, mine in pairs}) == len(pairs)
    if st.button(
        "Use this mapping",
        type="primary",
        icon=":material/check:",
        disabled=not whole,
        help=None if whole else "Every class of the dataset needs a class of its own.",
        key=f"{key}-use",
    ):
        st.session_state[key] = ",".join(f"{theirs}={mine}" for theirs, mine in pairs)
        st.rerun()
