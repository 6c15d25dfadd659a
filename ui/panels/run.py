"""One run on the Train page: state, progress, buttons and curves, and the results of an ended one."""

from __future__ import annotations

import functools
from typing import Literal

import streamlit as st

from mnist_core.data.dataset import dataset_title
from mnist_core.experiments.export import bundle, command
from mnist_core.figures.curves import curve_spec
from mnist_core.models.checkpoint import read_card
from mnist_core.runs.history import latest, shared_reader
from mnist_core.runs.labels import run_label
from mnist_core.runs.run import ACTIVE, ENDED, Run, Status, list_runs
from mnist_core.runs.snapshot import Snapshots, progress, stage
from mnist_core.system.files import disk_error_sentence, pending_disk_error
from mnist_core.training.resume import can_resume
from ui import actions, page
from ui.labels import interval_words, run_labels, trained_words
from ui.live.chart import feed_path, live_chart, live_progress
from ui.panels.export import take_along
from ui.panels.look import look_inside
from ui.panels.run_controls import begin_again, change_settings, continue_run, step_buttons
from ui.widgets import confirm

WORDS_SECONDS = 1.0
WORDS_SECONDS_FED = 30.0  # a rerun is expensive; what moves or ends is in the feed
CHARTS_SECONDS = 0.24  # where there is no feed by which they move themselves
CHART_HEIGHT = 280  # both charts fit on a laptop's screen
Colour = Literal["blue", "green", "orange", "gray", "red"]
WORDS: dict[str, tuple[str, Colour, str]] = {
    "queued": ("Waiting", "blue", ":material/schedule:"),
    "running": ("Training", "green", ":material/play_arrow:"),
    "paused": ("Paused", "orange", ":material/pause:"),
    "stopped": ("Stopped", "gray", ":material/stop:"),
    "completed": ("Finished", "green", ":material/check:"),
    "failed": ("Failed", "red", ":material/error:"),
    "crashed": ("Interrupted", "red", ":material/error:"),
}
STEPPING_WORDS: tuple[str, Colour, str] = ("Stepping", "orange", ":material/skip_next:")


def show_run(run: Run, earlier: list[Run]) -> None:
    """The run's panel. It refreshes itself while the run is active, and the page once when it ends."""
    active = run.status().active
    feed = _feed(run, earlier) if active else None
    words_every = WORDS_SECONDS if feed is None else WORDS_SECONDS_FED
    st.fragment(_words, run_every=words_every if active else None)(run, earlier, active, feed)
    # outside the words' fragment: a chart with a feed moves by itself, and costs nothing when the words change
    without_feed = active and feed is None
    st.fragment(_charts, run_every=CHARTS_SECONDS if without_feed else None)(run, earlier, feed)


def show_no_run(epochs: int) -> None:
    """Where the curves of a first run will be; the browser has then loaded what draws them before Run is pressed."""
    st.info("Press **Run**: the network starts to learn, and its curves appear here.", icon=":material/arrow_forward:")
    for what in ("loss", "accuracy"):
        empty = curve_spec([], what.capitalize(), epochs, percent=what == "accuracy")
        live_chart(empty, key=f"empty-{what}", height=CHART_HEIGHT)


def _feed(run: Run, earlier: list[Run]) -> str | None:
    return feed_path(run.id, [other.id for other in earlier])


def _words(run: Run, earlier: list[Run], was_active: bool, fed: str | None) -> None:
    with page.errors_as_messages():
        status = run.status()
        if was_active and (not status.active or _feed(run, earlier) != fed):
            st.rerun()
        _buttons(run, status)
        shown = progress(shared_reader(run), status.state)
        if shown and live_progress(shown, f"progress-{run.id}", feed=fed, state=stage(status)):
            st.rerun()
        if status.state in ("failed", "crashed"):
            st.error(status.reason, icon=":material/error:")
        elif status.state in ("completed", "stopped") and status.reason:
            st.caption(status.reason)
        diagnosis = latest(shared_reader(run).events(), "end", "diagnosis")
        if diagnosis and status.state in ENDED:
            st.warning(page.escape_markdown(diagnosis), icon=":material/troubleshoot:")
        _storage(run, status)
        _what(run)


def _buttons(run: Run, status: Status) -> None:
    state, stepping = status.state, status.stepping
    word, colour, icon = STEPPING_WORDS if stepping else WORDS[state]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.badge(word, color=colour, icon=icon)
        st.markdown(f"**{page.escape_markdown(run_label(run))}**", width="content")
        if not actions.changeable():
            return
        pressed = functools.partial(st.button, shortcut="Space", help="Key: space")
        if state == "running" and pressed("Pause", key="pause", icon=":material/pause:"):
            actions.command(run, "pause")
        if state == "paused" and pressed("Resume", key="resume", icon=":material/play_arrow:"):
            actions.command(run, "run")
        if state in ("running", "paused"):
            step_buttons(run, waits=state == "paused" or stepping)
        if state in ACTIVE and st.button("Stop", key="stop", icon=":material/stop:"):
            confirm.stop([run])
        if state in ("running", "paused"):
            change_settings(run, shared_reader(run).events())
        if state == "crashed" or (state == "stopped" and can_resume(run.folder)):
            explanation = "Goes on exactly from the last state that was saved"
            if st.button("Continue", key="continue", icon=":material/play_arrow:", help=explanation):
                continue_run(run)
        if state in ENDED:
            begin_again(run)


def _storage(run: Run, status: Status) -> None:
    """What is wrong with the run's files: why it waits for the disk, and which of them was damaged."""
    if status.state == "paused" and status.reason:
        st.warning(status.reason, icon=":material/hard_drive:")
    elif status.active and (error := pending_disk_error(run.folder)) is not None:  # then its status may be an old one
        st.warning(
            f"{disk_error_sentence(error)}: the training waits as soon as it has something to write, and loses "
            "nothing. Then press Resume, if it has paused.",
            icon=":material/hard_drive:",
        )
    for note in [
        event["note"] for event in shared_reader(run).events() if event["event"] == "resume" and "note" in event
    ]:
        st.info(page.escape_markdown(note), icon=":material/history:")


def _what(run: Run) -> None:
    """What is trained, on what. The line is there from the start, so that the curves below stay in place."""
    config, start = run.config(), shared_reader(run).start()
    known = trained_words(start, page.escape_markdown(dataset_title(config.dataset)))
    noise = f", {config.label_noise:.3g} of the training labels wrong" if config.label_noise else ""
    st.caption(f"{known}{noise}, seed {config.seed}")


def _charts(run: Run, earlier: list[Run], feed: str | None) -> None:
    with page.errors_as_messages():
        status, shown, _ = Snapshots(run, earlier).take()
        for key, figure in shown.items():
            if live_chart(figure, key=key, height=CHART_HEIGHT, feed=feed, state=stage(status)):
                st.rerun()
        if not len(shared_reader(run).history().train.step) and not status.active:
            st.caption("This run has no measurements.")


def outcome(run: Run) -> None:
    """The results of an ended run, and links to what can be done with its model."""
    status, folder = run.status(), run.checkpoint()
    if status.active or folder is None:
        return
    if damage := run.damage():
        st.warning(damage, icon=":material/history:")
    card = read_card(folder)
    metrics = card.metrics
    intervals: list[str] = []
    with st.container(horizontal=True):
        for kind, part in (("Test", "test"), ("Validation", "val")):
            if f"{part}_accuracy" in metrics:
                st.metric(f"{kind} accuracy", f"{metrics[f'{part}_accuracy']:.2%}", border=True, width=165)
                interval = interval_words(metrics, part)
                intervals += [f"{kind.lower()} {interval} %"] if interval else []
    if intervals:
        st.caption(f"95 % intervals (Wilson), by the number of images: {', '.join(intervals)}.")
    ways = (
        ("pages/draw.py", "Draw with this model", ":material/draw:"),
        ("pages/results.py", "See where it fails", ":material/grid_on:"),
    )
    with st.container(horizontal=True):
        for target, label, icon in ways:
            st.page_link(target, label=label, icon=icon, width="content", query_params={"model": run.id})
    with st.container(horizontal=True):
        with st.popover("Copy command", icon=":material/terminal:"):
            st.caption("Repeats this training on the command line, in the lab's folder.")
            if card.changes:
                st.caption("Settings were changed while it ran: the command has those of its end, from the start on.")
            st.code(command(card.config), language="bash", wrap_lines=True)
        st.download_button(
            "Download bundle",
            lambda: bundle(run),
            f"{run.id}.zip",
            "application/zip",
            icon=":material/download:",
            on_click="ignore",
            help="A .zip with the model, its settings and measurements, and how to repeat the training. Another lab "
            "reads it under Runs kept there, or with `import`",
        )
        with st.popover("Take it along", icon=":material/outbox:"):
            take_along(run, card)


def show_read_only() -> None:
    """A choice of runs, the active one first, and its curves. Raises LabError."""
    runs = sorted(list_runs(), key=lambda run: not run.status().active)
    st.info(
        "This lab is read-only (MNIST_LAB_MODE): trainings can be watched, not started.", icon=":material/visibility:"
    )
    if not runs:
        st.caption("There is no run yet.")
        return
    names = run_labels(runs)
    chosen = st.selectbox("Run", list(names), format_func=names.__getitem__, key="looked-at", persist_state="session")
    run = next(run for run in runs if run.id == chosen)
    show_run(run, [])
    look_inside(run)
    outcome(run)
