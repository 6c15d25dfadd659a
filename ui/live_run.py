"""One run as it goes: what it does, how far it is, its buttons and its curves."""

from __future__ import annotations

from functools import cache

import streamlit as st

from mnist_core.data import dataset_title
from mnist_core.errors import LabError
from mnist_core.figures import Curve, curve_spec
from mnist_core.queue import Queue
from mnist_core.runs import ACTIVE, Curves, EventReader, Run, curves
from ui import house, page
from ui.feed import feed_url
from ui.live_chart import live_chart

WORDS_SECONDS = 1.0
CHARTS_SECONDS = 0.24  # where there is no feed (ui/feed.py) by which they move themselves
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
    feed = _feed(run, earlier) if active else None
    st.fragment(_words, run_every=WORDS_SECONDS if active else None)(run, earlier, active, feed)
    # outside the words' fragment: a chart with a feed moves by itself, and costs nothing when the words change
    without_feed = active and feed is None
    st.fragment(_charts, run_every=CHARTS_SECONDS if without_feed else None)(run, earlier, feed)


def _words(run: Run, earlier: list[Run], was_active: bool, fed: str | None) -> None:
    with page.sentences():
        status = run.status()
        if was_active and (not status.active or _feed(run, earlier) != fed):
            st.rerun()
        _buttons(run, status.state)
        _progress(run, status.state, reader(run).read())
        if status.state in ("failed", "crashed"):
            st.error(status.reason, icon=":material/error:")


def _feed(run: Run, earlier: list[Run]) -> str | None:
    """Where the browser finds the run's figures while it is active; None where only a rerun can bring them."""
    own_reader = EventReader(run)  # the feed is a thread

    @cache
    def behind() -> list[tuple[Run, Curves]]:
        return _behind(earlier)

    def snapshot() -> tuple[str, dict[str, dict]]:
        return run.status().state, _figures(run, curves(own_reader.read()), behind())

    return feed_url("|".join(str(shown.folder) for shown in (run, *earlier)), snapshot)


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
        st.progress(0.0, "Getting ready …" if state == "running" else _place(run))
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


def _place(run: Run) -> str:
    before = Queue(run.folder.parent).before(run)
    if not before:
        return "It begins as soon as there is a place."
    return f"{before} other{'s' if before > 1 else ''} before it."


def duration(seconds: float) -> str:
    """Seconds as a person says them: `8 s`, `4:05 min`, `2:10 h`."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60}:{seconds % 60:02d} min"
    return f"{seconds // 3600}:{seconds % 3600 // 60:02d} h"


def _behind(earlier: list[Run]) -> list[tuple[Run, Curves]]:
    """Earlier runs with their curves; a damaged one is no reason to hide the others."""
    found = []
    for run in earlier:
        try:
            run.config()
            found.append((run, curves(reader(run).read())))
        except LabError:
            continue
    return found


def _figures(run: Run, measured: Curves, behind: list[tuple[Run, Curves]]) -> dict[str, dict]:
    """The figures `loss` and `accuracy`, the run's own curves before those of earlier runs."""
    epochs = max(shown.config().epochs for shown in (run, *(other for other, _ in behind)))
    loss, accuracy = [], []
    for place, (other, c) in enumerate([(run, measured), *behind]):
        suffix = f" · {house.run_label(other)}" if place else ""
        loss += [
            Curve(f"train{suffix}", c.x, c.loss, "train", place),
            Curve(f"validation{suffix}", c.val_x, c.val_loss, "validation", place),
        ]
        accuracy += [
            Curve(f"train{suffix}", c.x, c.accuracy, "train", place),
            Curve(f"validation{suffix}", c.val_x, c.val_accuracy, "validation", place),
        ]
    return {
        "loss": curve_spec(loss, "Loss", epochs),
        "accuracy": curve_spec(accuracy, "Accuracy", epochs, percent=True),
    }


def _charts(run: Run, earlier: list[Run], feed: str | None) -> None:
    with page.sentences():
        state, measured = run.status().state, curves(reader(run).read())
        for key, figure in _figures(run, measured, _behind(earlier)).items():
            if live_chart(figure, key=key, height=CHART_HEIGHT, feed=feed, state=state):
                st.rerun()
        if not measured.x and state not in ACTIVE:
            st.caption("This run has measured nothing.")
