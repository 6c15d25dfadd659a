"""One run as it goes: what it does, how far it is, its buttons and its curves."""

from __future__ import annotations

import streamlit as st

from mnist_core.data import dataset_title
from mnist_core.errors import LabError
from mnist_core.figures import Curve, curve_figure
from mnist_core.runs import ACTIVE, Curves, EventReader, Run, curves
from ui import house, page
from ui.live_chart import live_chart

REFRESH_SECONDS = 0.2
CHART_HEIGHT = 280  # both charts fit on a laptop's screen
WORDS = {
    "queued": ("Waiting for its turn", "blue", ":material/schedule:"),
    "running": ("Training", "green", ":material/play_arrow:"),
    "paused": ("Paused", "orange", ":material/pause:"),
    "stopped": ("Stopped", "gray", ":material/stop:"),
    "completed": ("Finished", "green", ":material/check:"),
    "failed": ("Failed", "red", ":material/error:"),
    "crashed": ("Interrupted", "red", ":material/error:"),
}


def show_run(run: Run, earlier: list[Run]) -> None:
    """The run's panel; it refreshes itself as long as the run is active, and the page once when it ends."""
    active = run.status().active
    st.fragment(_panel, run_every=REFRESH_SECONDS if active else None)(run, earlier, active)


def _panel(run: Run, earlier: list[Run], was_active: bool) -> None:
    with page.sentences():
        status = run.status()
        if was_active and not status.active:
            st.rerun()
        events = reader(run).read()
        _buttons(run, status.state)
        _progress(run, status.state, events)
        if status.state in ("failed", "crashed"):
            st.error(status.reason, icon=":material/error:")
        _charts(run, earlier, curves(events))


def reader(run: Run) -> EventReader:
    """This session's reader of the run: each rerun parses only what was added since."""
    readers = st.session_state.setdefault("readers", {})
    return readers.setdefault(str(run.folder), EventReader(run))


def _buttons(run: Run, state: str) -> None:
    word, colour, icon = WORDS[state]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.badge(word, color=colour, icon=icon)
        st.markdown(f"**{house.run_label(run)}**", width="content")
        if state == "running" and st.button("Pause", key="pause", icon=":material/pause:"):
            run.command("pause")
        if state == "paused" and st.button("Resume", key="resume", icon=":material/play_arrow:", type="primary"):
            run.command("run")
        if state in ACTIVE and st.button("Stop", key="stop", icon=":material/stop:"):
            run.command("stop")
        if state in ("stopped", "crashed") and run.resume_path.exists():
            explanation = "Goes on exactly where it was interrupted"
            if st.button("Continue", key="continue", icon=":material/play_arrow:", help=explanation):
                continue_run(run)


def continue_run(run: Run) -> None:
    """Hands an interrupted run to a worker again. Raises RunError."""
    run.command("run")
    run.set_status("queued")
    house.workers().start(run)
    st.session_state["run"] = run.id
    st.rerun()


def _progress(run: Run, state: str, events: list[dict]) -> None:
    start = next((event for event in reversed(events) if event["event"] == "start"), None)
    step = next((event for event in reversed(events) if event["event"] == "step"), None)
    if state == "queued" or (state == "running" and (start is None or step is None)):
        st.progress(0.0, "Getting ready …" if state == "running" else "Another training is running; this one is next.")
        return
    if start is None or step is None:
        return
    share = step["step"] / start["total_steps"]
    epochs = start["total_steps"] // start["steps_per_epoch"]
    epoch = min((step["step"] - 1) // start["steps_per_epoch"] + 1, epochs)
    parts = [f"epoch {epoch} of {epochs}"]
    if state in ("running", "paused"):
        rate = step["images_per_second"]
        left = (1 - share) * epochs * start["train_images"] / rate
        parts += [f"{rate:,.0f} images/s", f"{duration(left)} left"]
    parts.append(
        f"{start['parameters']:,} parameters on {start['train_images']:,} images of "
        f"{dataset_title(run.config().dataset)}"
    )
    st.progress(min(share, 1.0), " · ".join(parts))


def duration(seconds: float) -> str:
    """Seconds as a person says them: `8 s`, `4:05 min`, `2:10 h`."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60}:{seconds % 60:02d} min"
    return f"{seconds // 3600}:{seconds % 3600 // 60:02d} h"


def _charts(run: Run, earlier: list[Run], measured: Curves) -> None:
    shown = [(run, "", 0, measured)]
    epochs = run.config().epochs
    for place, other in enumerate(earlier, start=1):
        try:
            epochs = max(epochs, other.config().epochs)
            shown.append((other, f" · {house.run_label(other)}", place, curves(reader(other).read())))
        except LabError:
            continue  # a damaged earlier run is no reason to hide this one
    loss, accuracy = [], []
    for _, suffix, place, c in shown:
        loss += [
            Curve(f"train{suffix}", c.x, c.loss, "train", place),
            Curve(f"validation{suffix}", c.val_x, c.val_loss, "validation", place),
        ]
        accuracy += [
            Curve(f"train{suffix}", c.x, c.accuracy, "train", place),
            Curve(f"validation{suffix}", c.val_x, c.val_accuracy, "validation", place),
        ]
    live_chart(curve_figure(loss, "Loss", epochs), key="loss", height=CHART_HEIGHT)
    live_chart(curve_figure(accuracy, "Accuracy", epochs, percent=True), key="accuracy", height=CHART_HEIGHT)
    if not measured.x and not run.status().active:
        st.caption("This run has measured nothing.")
