"""Controls of a run: steps and changes of settings while it trains, restarts when it has ended."""

from __future__ import annotations

import secrets

import streamlit as st

from mnist_core.config import TrainConfig
from mnist_core.errors import RunError
from mnist_core.models.checkpoint import read_card
from mnist_core.runs.history import changes
from mnist_core.runs.run import Run
from mnist_core.training.changes import CHANGEABLE, changed_config
from mnist_core.training.events import Event
from ui import actions
from ui.widgets.settings import change_knobs, changed

FOLLOW = "follow-seeds"  # of the session: whether the page is to show the new run together with its other seeds
SEEDS = 10_000  # a new seed is below: short enough to be told to somebody


def start_run(config: TrainConfig) -> None:
    """Creates a run, hands it to a worker and shows it. Raises RunError."""
    _show(actions.start(config), together=False)


def start_seeds(config: TrainConfig, count: int) -> None:
    """Creates runs of several seeds, queues them and shows them together. Raises LabError."""
    _show(actions.start_seeds(config, count)[0], together=True)


def _show(run: Run, together: bool) -> None:
    """Has the page show the run, by itself or `together` with its other seeds."""
    st.session_state["run"], st.session_state[FOLLOW] = run.id, together
    st.rerun()


def continue_run(run: Run) -> None:
    """Hands an interrupted run to a worker again and shows it. Raises RunError."""
    actions.resume(run)
    _show(run, together=False)


def step_buttons(run: Run, waits: bool) -> None:
    """One batch or the rest of an epoch, from a pause; `waits` says whether the run is at one, or on its way to one."""
    if st.button(
        "Step batch",
        key="step-batch",
        icon=":material/skip_next:",
        shortcut="s",
        disabled=not waits,
        help="Trains on one batch and pauses again. Key: S" if waits else "Pause first",
    ):
        actions.step(run, "batch")
    if st.button(
        "Step epoch",
        key="step-epoch",
        icon=":material/fast_forward:",
        disabled=not waits,
        help="Trains to the end of the epoch and pauses again" if waits else "Pause first",
    ):
        actions.step(run, "epoch")


def change_settings(run: Run, events: list[Event]) -> None:
    """The settings that may be changed while the run trains, and those that were requested and not made yet."""
    made = [change for together in changes(events).values() for change in together]
    try:
        current = changed_config(run.config(), made)
    except RunError:
        return  # a file that somebody wrote in: the worker goes on, and there is nothing sure to begin at
    with st.popover("Change", icon=":material/tune:"):
        st.caption("What you apply holds from the next batch on and is marked on the curves.")
        beginning = "-".join(str(getattr(current, name)) for name in CHANGEABLE)
        with st.form(f"change-{run.id}", border=False):
            wanted = change_knobs(current, f"change-{run.id}-{beginning}")
            if st.form_submit_button("Apply", type="primary", icon=":material/check:", width="stretch"):
                if differences := wanted.differences(current):
                    actions.change(run, differences)
                else:
                    st.caption("Nothing is set differently.")
    last = max((change["asked"] for change in made), default=0)
    waiting = [wanted for number, wanted in run.control().changes if number > last]
    if waiting and (words := changed(current.replace(**waiting[-1]), current)):
        st.caption(f"From the next batch on: {words}.")


def begin_again(run: Run) -> None:
    """Two buttons for a run that has ended: the same again, or with other random numbers. Raises RunError."""
    config = run.config()
    if st.button(
        "Restart",
        key="restart",
        icon=":material/restart_alt:",
        help=f"A new run from the start with the settings that this one began with and the same seed ({config.seed}). "
        "This one stays.",
    ):
        start_run(config)
    if st.button(
        "New seed",
        key="new-seed",
        icon=":material/casino:",
        help="A new run from the start with the same settings and another seed: other first weights, another order of "
        "the images. How far the two end apart is what chance does.",
    ):
        start_run(config.replace(seed=(config.seed + 1 + secrets.randbelow(SEEDS - 1)) % SEEDS))


def evaluate_stopped(run: Run) -> None:
    """A button for a run whose model was not judged on the test images: a stopped one, a search's trial. Raises
    LabError."""
    folder, state = run.checkpoint(), run.status().state
    unread = state == "stopped" or (state == "completed" and run.trial is not None)
    if not unread or folder is None or "test_accuracy" in read_card(folder).metrics:
        return
    if st.button(
        "Evaluate on test",
        key="evaluate-stopped",
        icon=":material/fact_check:",
        help="Reads the test images once and notes the result in the model's card. It judges the model and chooses "
        "nothing: settings are chosen on validation.",
    ):
        with st.spinner("Reading the test images …"):
            actions.evaluate_stopped_run(run)
        st.rerun()
