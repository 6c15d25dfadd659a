"""Replay: how a network learned, snapshot by snapshot, over the training of a run that kept its weights."""

import streamlit as st

from mnist_core.runs.run import Run, list_runs
from mnist_core.runs.weight_snapshots import snapshots
from ui import actions, page
from ui.labels import run_labels
from ui.widgets.place import read_place

page.begin("Replay", "⏪")


def invite() -> None:
    """What to do where no run has kept its weights."""
    st.info(
        "Watch a network learn: a run that keeps its weights on the way can be played here from its first step to its "
        "last. No run has kept them yet.",
        icon=":material/history:",
    )
    if actions.changeable():
        st.page_link(
            "pages/train.py",
            label="Train one that keeps its weights",
            icon=":material/model_training:",
            query_params={"snapshots": "True"},
        )
        st.caption("The setting is called **Keep the weights on the way, for Replay**. Then press **Run**.")


def choose_run(runs: list[Run]) -> Run:
    """A select box over the runs with snapshots; the address presets it."""
    asked, names = st.session_state.pop("replay-run", None), run_labels(runs)
    if asked in names:
        st.session_state["replay-chosen"] = asked
    elif asked is not None:
        st.warning(f"There is no run '{page.escape_markdown(asked)}' with snapshots here. Choose one of those below.")
    chosen = st.selectbox(
        "Run", list(names), format_func=names.__getitem__, key="replay-chosen", persist_state="session"
    )
    return next(run for run in runs if run.id == chosen)


with page.errors_as_messages():
    read_place("replay", ("run", "step"))
    runs = [run for run in list_runs() if snapshots(run)]
    if not runs:
        invite()
    else:
        from ui.panels.replay import replay  # imports ONNX Runtime

        run = choose_run(runs)
        if run.status().active:
            st.caption("This run still trains: what it has kept so far is shown. Reload the page for what is newer.")
        replay(run)
