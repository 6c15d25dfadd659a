"""What every page begins with: its title, the menu, and a place where errors become sentences."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Iterator

import streamlit as st

from mnist_core.errors import LabError
from mnist_core.system.settings import limits
from ui import address, hidden, warmup
from ui.visitors import mark_active

MENU = (
    ("home.py", "Home", ":material/home:"),
    ("pages/train.py", "Train", ":material/model_training:"),
    ("pages/draw.py", "Draw", ":material/draw:"),
    ("pages/teach.py", "Teach", ":material/school:"),
    ("pages/inside.py", "Inside", ":material/visibility:"),
    ("pages/replay.py", "Replay", ":material/history:"),
    ("pages/results.py", "Results", ":material/grid_on:"),
    ("pages/compare.py", "Compare", ":material/compare_arrows:"),
    ("pages/data.py", "Data", ":material/dataset:"),
)
LOOK_SECONDS = 0.5
REACHABLE = {"draw-only": ("Home", "Draw")}  # by mode; in the others, all

# Streamlit keeps six rems free above a page for a toolbar that the lab does not show, and on a phone that is where
# the drawing should be
STYLE = """<style>
.stMainBlockContainer { padding-top: 1.25rem; padding-bottom: 3rem; }
.stAppHeader { background: transparent; height: 1rem; min-height: 1rem; }
/* a bar that glides for half of each second costs a training several percent of its speed */
.stProgress *, .stElementContainer { transition: none !important; }
h1 { font-size: 2rem !important; padding: 0.25rem 0 0.5rem !important; }
</style>"""


def begin(title: str, icon: str) -> None:
    """Page settings, the menu and the title; the first thing a page calls.

    The page ends here where the lab's mode does not show it, or its settings make no sense.
    """
    st.set_page_config(f"{title} · MNIST Lab", page_icon=icon, layout="wide", initial_sidebar_state="collapsed")
    st.html(STYLE)
    warmup.start()
    mark_active()
    address.begin()
    with errors_as_messages():
        shown = reachable()
        _menu(shown)
        st.title("MNIST Lab" if title == "Home" else title, anchor=False)
        if title in shown:
            _lesson(title)
            return
        st.info("This lab shows its Draw page only (MNIST_LAB_MODE=draw-only).", icon=":material/info:")
        st.page_link("pages/draw.py", label="Draw a digit", icon=":material/draw:")
    st.stop()


def _lesson(title: str) -> None:
    """The lesson under way, and what the address would hide and cannot."""
    if names := hidden.unknown():
        st.warning(
            f"The address would hide what there is not: {escape_markdown(', '.join(names)[:100])}.",
            icon=":material/visibility_off:",
        )
    if "lesson" not in address.along():
        return
    if "Train" not in reachable():
        st.info("Lessons need pages that this lab does not show.", icon=":material/info:")
        return
    from ui.panels.lesson import show_lesson

    with errors_as_messages():
        show_lesson(title.lower())


def reachable() -> tuple[str, ...]:
    """The labels of the pages that the lab's mode shows. Raises ConfigError when its settings make no sense."""
    return REACHABLE.get(limits().mode, tuple(label for _, label, _ in MENU))


def _menu(shown: tuple[str, ...]) -> None:
    # our own menu, on the page itself: Streamlit's hides behind an arrow on a phone
    if hidden.hidden("menu"):
        return
    with st.container(horizontal=True, gap="small"):
        for page, label, symbol in MENU:
            if label in shown and not hidden.hidden(label.lower()):
                st.page_link(page, label=label, icon=symbol, width="content")


def escape_markdown(text: str) -> str:
    """Text that is not ours, such as the name of a class, so that markdown shows it as it is."""
    return re.sub(r"([\\`*_{}\[\]()#+\-.!|$:~<>&])", r"\\\1", text)


def show_note(sentence: str) -> None:
    """What looks wrong with a dataset, or was left out of it; nothing where there is nothing to say."""
    if sentence:
        st.warning(escape_markdown(sentence), icon=":material/warning:")


def text_colour() -> str:
    """The colour of text in the theme that the browser shows."""
    return "#f3f4f6" if st.context.theme.type == "dark" else "#1f2937"


def when_ready(show: Callable[[], None], ready: Callable[[], bool], meanwhile: Callable[[], object]) -> None:
    """Calls `show` where it is `ready`. Until then `meanwhile` shows something, and nothing on the page waits."""
    if ready():
        show()
        return

    @st.fragment(run_every=LOOK_SECONDS)
    def wait() -> None:
        if ready():
            st.rerun()
        meanwhile()

    wait()


@contextlib.contextmanager
def loading_torch() -> Iterator[None]:
    """Around imports that load torch, which takes seconds the first time: says so meanwhile."""
    if "torch" in sys.modules:
        yield
        return
    with st.spinner("Loading PyTorch, which looks inside networks …"):
        yield


@contextlib.contextmanager
def errors_as_messages() -> Iterator[None]:
    """Errors of the lab raised inside are shown as the sentence they are, and the rest of the page goes on."""
    try:
        yield
    except LabError as error:
        st.error(str(error), icon=":material/error:")
