"""One run on the Train page: state, progress, buttons and curves, and the results of an ended one."""

from __future__ import annotations

import functools
from typing import Literal

import streamlit as st

from mnist_core.data.dataset import dataset_title
from mnist_core.errors import LabError
from mnist_core.experiments.export import bundle, command
from mnist_core.figures.curves import Curve, curve_spec
from mnist_core.models.checkpoint import read_card
from mnist_core.runs.history import History, HistoryReader, latest
from mnist_core.runs.queue import Queue
from mnist_core.runs.run import ACTIVE, ENDED, Run, Status, list_runs
from mnist_core.system.files import disk_error_sentence, pending_disk_error
from mnist_core.training.resume import can_resume
from ui import actions, cache, page
from ui.labels import run_label, run_labels
from ui.live.chart import ProgressBar, live_chart, live_progress
from ui.live.feed import feed_url
from ui.panels.run_controls import begin_again, change_settings, continue_run, step_buttons
from ui.widgets import confirm

WORDS_SECONDS = 1.0
WORDS_SECONDS_FED = 30.0  # a rerun is expensive; what moves or ends is in the feed
CHARTS_SECONDS = 0.24  # where there is no feed (ui/live/feed.py) by which they move themselves
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


def _words(run: Run, earlier: list[Run], was_active: bool, fed: str | None) -> None:
    with page.errors_as_messages():
        status = run.status()
        if was_active and (not status.active or _feed(run, earlier) != fed):
            st.rerun()
        _buttons(run, status)
        progress = _progress(cache.reader(run), status.state)
        if progress and live_progress(progress, f"progress-{run.id}", feed=fed, state=_stage(status)):
            st.rerun()
        if status.state in ("failed", "crashed"):
            st.error(status.reason, icon=":material/error:")
        elif status.state in ("completed", "stopped") and status.reason:
            st.caption(status.reason)
        diagnosis = latest(cache.reader(run).events(), "end", "diagnosis")
        if diagnosis and status.state in ENDED:
            st.warning(page.escape_markdown(diagnosis), icon=":material/troubleshoot:")
        _storage(run, status)
        _what(run)


def _feed(run: Run, earlier: list[Run]) -> str | None:
    """Where the browser finds the run's figures while it is active; None where only a rerun can bring them."""
    watched = cache.reader(run)  # the feed is a thread of its own, which knows no session
    drawn: tuple[History | None, dict[str, dict]] = (None, {})

    @functools.cache
    def behind() -> list[tuple[Run, History]]:
        return _behind(earlier)

    def snapshot() -> tuple[str, dict[str, dict | ProgressBar]]:
        nonlocal drawn
        status, measured = run.status(), watched.history()
        if measured is not drawn[0]:
            drawn = measured, _figures(run, measured, behind())
        progress = _progress(watched, status.state)
        shown: dict[str, dict | ProgressBar] = {**drawn[1]}
        if progress:
            shown[f"progress-{run.id}"] = progress
        return _stage(status), shown

    return feed_url("|".join(str(shown.folder) for shown in (run, *earlier)), snapshot)


def _stage(status: Status) -> str:
    """What the panel shows besides progress and curves; the page is rerun when it changes."""
    return f"{status.state} {status.stepping} {status.reason}"


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
            change_settings(run, cache.reader(run).events())
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
        event["note"] for event in cache.reader(run).events() if event["event"] == "resume" and "note" in event
    ]:
        st.info(page.escape_markdown(note), icon=":material/history:")


def _progress(watched: HistoryReader, state: str) -> ProgressBar | None:
    """How far the run is; None where it never began."""
    start = watched.start()
    step = watched.newest_step()
    if state == "queued" or (state == "running" and (start is None or step is None)):
        return {"share": 0.0, "text": "Getting ready …" if state == "running" else _place(watched.run)}
    if start is None or step is None:
        return None
    share = step["step"] / start["total_steps"]
    epochs = start["total_steps"] // start["steps_per_epoch"]
    epoch = min((step["step"] - 1) // start["steps_per_epoch"] + 1, epochs)
    parts = [f"epoch {epoch} of {epochs}"]
    if state in ("running", "paused"):
        rate = step["images_per_second"]
        left = (1 - share) * epochs * start["train_images"] / rate
        parts += [f"{rate:,.0f} images/s", f"{duration(left)} left"]
    return {"share": min(share, 1.0), "text": " · ".join(parts)}


def _what(run: Run) -> None:
    """What is trained, on what. The line is there from the start, so that the curves below stay in place."""
    config, start = run.config(), cache.reader(run).start()
    known = f"{start['parameters']:,} parameters on {start['train_images']:,} images of " if start is not None else ""
    st.caption(f"{known}{page.escape_markdown(dataset_title(config.dataset))}, seed {config.seed}")


def _place(run: Run) -> str:
    before = Queue(run.folder.parent).before(run)
    if not before:
        return "It begins as soon as a slot is free."
    return f"{before} run{'s' if before > 1 else ''} before it."


def duration(seconds: float) -> str:
    """Seconds in a readable unit: `8 s`, `4:05 min`, `2:10 h`."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60}:{seconds % 60:02d} min"
    return f"{seconds // 3600}:{seconds % 3600 // 60:02d} h"


def _behind(earlier: list[Run]) -> list[tuple[Run, History]]:
    """Earlier runs with their curves; a damaged one is no reason to hide the others."""
    found = []
    for run in earlier:
        try:
            run.config()
            found.append((run, cache.reader(run).history()))
        except LabError:
            continue
    return found


def _figures(run: Run, measured: History, behind: list[tuple[Run, History]]) -> dict[str, dict]:
    """The figures `loss` and `accuracy`, the run's own curves before those of earlier runs."""
    epochs = max(shown.config().epochs for shown in (run, *(other for other, _ in behind)))
    figures = {}
    marks = [(change.epoch, change.label) for change in measured.changes]
    for what in ("loss", "accuracy"):
        curves = []
        for place, (other, history) in enumerate([(run, measured), *behind]):
            suffix = f" · {run_label(other)}" if place else ""
            for kind, series in (("train", history.train), ("validation", history.validation)):
                curves.append(Curve(f"{kind}{suffix}", place, series.epoch, getattr(series, what), kind))
        figures[what] = curve_spec(curves, what.capitalize(), epochs, percent=what == "accuracy", marks=marks)
    return figures


def _charts(run: Run, earlier: list[Run], feed: str | None) -> None:
    with page.errors_as_messages():
        status, measured = run.status(), cache.reader(run).history()
        for key, figure in _figures(run, measured, _behind(earlier)).items():
            if live_chart(figure, key=key, height=CHART_HEIGHT, feed=feed, state=_stage(status)):
                st.rerun()
        if not len(measured.train.step) and status.state not in ACTIVE:
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
    with st.container(horizontal=True):
        for label, name in (("Test accuracy", "test_accuracy"), ("Validation accuracy", "val_accuracy")):
            if name in metrics:
                st.metric(label, f"{metrics[name]:.2%}", border=True, width=165)
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
            help="A .zip with the model, its settings and measurements, and how to repeat the training",
        )


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
    outcome(run)
