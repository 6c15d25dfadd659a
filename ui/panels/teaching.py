"""Teaching on its page: the collection, the training under way, and honestly what it has changed."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from mnist_core.data.collection import FIFTH, Kept, counts
from mnist_core.data.dataset import dataset_title
from mnist_core.errors import LabError
from mnist_core.inference.interval import wilson_interval
from mnist_core.models.card import Card
from mnist_core.models.checkpoint import read_card
from mnist_core.runs.catalogue import Model
from mnist_core.runs.history import shared_reader
from mnist_core.runs.run import Run, list_runs
from mnist_core.runs.snapshot import progress
from ui import actions, page
from ui.labels import model_name
from ui.live.chart import live_progress
from ui.live.drawings import MOST, show_drawings
from ui.panels.labelling import whose
from ui.widgets import confirm

LOOK_SECONDS = 1.0
EXPORT = "my-drawings.json.gz"


def collection(drawings: Sequence[Kept]) -> None:
    """The drawings with what can be done with them: remove one, export all, import more. Raises LabError."""
    if drawings:
        held = sum(drawing.test for drawing in drawings)
        more = f" The newest {MOST} are shown." if len(drawings) > MOST else ""
        st.caption(
            f"{len(drawings):,} drawings, kept {whose()} on the machine of this lab; they leave it only by your export."
            f" The {held} with a dashed border, every fifth of a digit, are never learned from: they judge.{more}"
        )
        show_drawings(drawings, actions.remove_drawing, key="collection")
    with st.container(horizontal=True, vertical_alignment="center"):
        if drawings:
            st.download_button(
                "Export",
                actions.export_drawings,
                EXPORT,
                "application/gzip",
                icon=":material/download:",
                on_click="ignore",
                help="Pen strokes with their time, in the format of `drawings:` datasets",
            )
        with st.popover("Import", icon=":material/upload:"):
            _import()


def _import() -> None:
    st.caption("A file of pen strokes: an export of this page, or any in the format of `drawings:` datasets.")
    number = st.session_state.setdefault("import-number", 0)
    file = st.file_uploader("Pen strokes", type=["json", "gz", "ndjson"], key=f"import-{number}")
    if file is not None:
        with page.errors_as_messages():
            added, known = actions.import_drawings(file.getvalue(), file.name)
            st.session_state["import-number"] = number + 1  # an uploader with another key is empty
            st.session_state["import-said"] = f"{added:,} drawings were added" + (
                f", {known:,} were here already." if known else "."
            )
            st.rerun()
    if said := st.session_state.pop("import-said", ""):
        st.toast(said)


def teach_button(model: Model, drawings: Sequence[Kept]) -> None:
    """Begins a run that teaches `model` the drawings, or says what is missing. Raises LabError."""
    name = page.escape_markdown(model_name(model))
    unknown = sorted(set(counts(drawings)) - set(model.card.classes))
    missing = ""
    if not any(drawing.test for drawing in drawings):
        missing = f"Draw at least one digit {FIFTH} times: every fifth drawing of a digit is held out to judge by."
    elif unknown:
        missing = f"{name} knows no {', '.join(map(page.escape_markdown, unknown[:5]))}: remove these drawings first."
    if st.button(
        f"Teach {name}", type="primary", icon=":material/school:", disabled=bool(missing), key="teach", help=TEACH_HELP
    ):
        st.session_state["teach-run"] = actions.teach(model).id
        st.rerun()
    if missing:
        st.caption(missing)


TEACH_HELP = (
    "A training of about a minute goes on with this model: on your drawings, beside images that it knows and its own "
    "earlier answers to them, so that it forgets little. The model itself stays as it is; a new one is made."
)


def latest_teaching(path: str) -> Run | None:
    """The newest run that was taught the drawings in the file at `path`; the one that this session began first."""
    found = []
    for run in list_runs():
        try:
            config = run.config()
        except LabError:
            continue
        if config.rehearsal and config.dataset == f"drawings:{path}":
            found.append(run)
    mine = [run for run in found if run.id == st.session_state.get("teach-run")]
    return next(iter(mine + found), None)


def show_teaching(run: Run) -> None:
    """A run under way with its progress, or what it has changed, and whether to keep it. Raises LabError."""
    active = run.status().active
    st.fragment(_progress, run_every=LOOK_SECONDS if active else None)(run, active)
    status, folder = run.status(), run.checkpoint()
    if active or folder is None:
        return
    card = read_card(folder)
    if "before_accuracy" not in card.metrics:
        if status.state == "stopped":
            st.caption("It was stopped before its end, so that nothing was measured. Teach again, or discard it.")
        _discard(run)
        return
    before_and_after(card)
    _verdict(run)


def _progress(run: Run, was_active: bool) -> None:
    with page.errors_as_messages():
        status = run.status()
        if was_active and not status.active:
            st.rerun()
        if status.active:
            shown = progress(shared_reader(run), status.state)
            if shown is not None:
                live_progress(shown, f"teach-progress-{run.id}")
            with st.container(horizontal=True):
                if st.button("Stop", key="teach-stop", icon=":material/stop:"):
                    confirm.stop([run])
                st.page_link(
                    "pages/train.py", label="Its curves on Train", icon=":material/show_chart:", width="content"
                )
        elif status.state in ("failed", "crashed"):
            st.error(status.reason, icon=":material/error:")


def before_and_after(card: Card) -> None:
    """Accuracies before and after a teaching with their intervals, and what was forgotten."""
    found = card.metrics
    earlier = page.escape_markdown(dataset_title(card.config.rehearsal))
    rows = [
        (
            f"Your drawings that were held out ({found['test_images']:.0f})",
            *_both(found["before_accuracy"], found["test_accuracy"], found["test_images"]),
        ),
        (
            f"{earlier}, test images ({found['earlier_images']:,.0f})",
            *_both(found["earlier_before"], found["earlier_accuracy"], found["earlier_images"]),
        ),
    ]
    lines = ["| | before | after |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)]
    st.markdown("\n".join(lines))
    right = round(found["earlier_before"] * found["earlier_images"])
    st.markdown(
        f"**Forgetting.** Of the {right:,} test images of {earlier} that it read right before, it now misreads "
        f"**{found['forgotten']:.0f}**; {found['gained']:.0f} others it has come to read right."
    )
    st.caption(
        "In brackets the 95 % intervals (Wilson). Few drawings make a wide one: draw more, and it narrows. The test "
        "images of neither kind were learned from; if you choose by them, a chosen figure flatters a little."
    )


def _both(before: float, after: float, images: float) -> tuple[str, str]:
    return _share(before, images), _share(after, images)


def _share(accuracy: float, images: float) -> str:
    low, high = wilson_interval(round(accuracy * images), int(images))
    digits = 2 if images >= 1000 else 0
    return f"{accuracy:.{digits}%} ({low:.{digits}%} to {high:.{digits}%})".replace("%", " %")


def _verdict(run: Run) -> None:
    if run.pinned:
        st.success("Kept. It is a model like any other, and you can teach it further.", icon=":material/check:")
        st.page_link(
            "pages/draw.py",
            label="Draw with it",
            icon=":material/draw:",
            width="content",
            query_params={"model": run.id},
        )
        return
    with st.container(horizontal=True):
        if st.button("Keep", type="primary", icon=":material/check:", key="teach-keep"):
            actions.pin(run, True)
            st.rerun()
        _discard(run)


def _discard(run: Run) -> None:
    if st.button("Discard", icon=":material/delete:", key="teach-discard", help="Deletes this new model"):
        confirm.delete([run])
