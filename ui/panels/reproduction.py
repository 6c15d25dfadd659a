"""What the earlier systems claimed, and what their recipes measure here."""

from __future__ import annotations

import streamlit as st

from mnist_core.experiments.reproduce import METRIC_BATCH, ORIGINS, Row, load_rows
from mnist_core.recipes import get_recipe


def reproduction() -> None:
    """The table that was kept, and how to make it anew."""
    rows = load_rows()
    st.markdown(
        "This lab unites five earlier projects, each as a recipe. Here each was trained as its project described it, "
        "with several seeds. The test images were read once per training, at its end; three of the projects had "
        "watched them while training and claimed their best epoch."
    )
    if not rows:
        st.info("The table is missing: it is made by `python -m mnist_core reproduce --keep docs/reproduction.json`.")
        return
    st.dataframe(
        [_shown(row) for row in rows],
        hide_index=True,
        height="content",
        column_config={
            "outcome": st.column_config.TextColumn(help="Whether the mean over the seeds reaches what was claimed"),
            "test accuracy": st.column_config.TextColumn(help="Mean ± standard deviation over the seeds"),
            "test, 95 %": st.column_config.TextColumn(
                help="In percent: the interval of the mean (Wilson), by the number of test images. It says what other "
                "images could give; ± says what other seeds could."
            ),
            "weighted F1": st.column_config.NumberColumn(
                format="%.4f", help="F1 of each class, weighted by how often it occurs; mean over the seeds"
            ),
            "summed loss": st.column_config.NumberColumn(
                format="%.5f",
                help=f"One project's own measure: the sum of the mean losses of batches of {METRIC_BATCH} images, "
                "divided by the number of images",
            ),
            "parameters": st.column_config.NumberColumn(format="localized", help="Numbers that the network learns"),
            "training (s)": st.column_config.NumberColumn(format="%.0f", help="Mean over the seeds"),
        },
    )
    st.caption(f"Trained on: {'; '.join(sorted({row.machine for row in rows}))}.")
    names = list(dict.fromkeys(row.recipe for row in rows))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox("Try one yourself", names, format_func=lambda recipe: get_recipe(recipe).title, width=420)
        st.page_link(
            "pages/train.py",
            label="Set up this training",
            icon=":material/model_training:",
            query_params={"recipe": name},
            width="content",
        )
    st.caption(f"{ORIGINS.get(name, '')} On the command line, all of them: `python -m mnist_core reproduce`.")


def _shown(row: Row) -> dict[str, str | int | float | None]:
    return {
        "recipe": row.recipe + row.changes,
        "learned from": row.dataset,
        "claimed": row.said,
        "test accuracy": row.accuracy,
        "test, 95 %": row.interval or None,
        "outcome": row.outcome,
        "weighted F1": row.mean("weighted_f1"),
        "summed loss": row.mean("batch_mean_loss"),
        "parameters": row.parameters,
        "training (s)": row.mean("train_seconds"),
    }
