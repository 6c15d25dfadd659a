"""Home: what the lab is, which models and runs are here, where to go."""

from functools import partial

import streamlit as st

from mnist_core.data.mnist import mnist_available
from mnist_core.runs.catalogue import models as every_model
from mnist_core.runs.run import list_runs
from mnist_core.system.device import default_device
from mnist_core.system.settings import data_folder, runs_folder
from ui import actions, page, warmup
from ui.hidden import hidden
from ui.panels.lesson import show_lessons
from ui.widgets.dataset import offer_download
from ui.widgets.model import show_models

IN_A_ROW = 4  # pages, where there is room

page.begin("Home", "🔢")


def show_device() -> None:
    show_fact("Computes on", {"cuda": "GPU", "cpu": "CPU"}[default_device()], "A GPU is used when torch finds one.")


def show_fact(label: str, value: str, explanation: str) -> None:
    """A figure of the overview. Visitors who may only look need not know the machine's folders."""
    st.metric(label, value, help=explanation if actions.changeable() else None, border=True, width=165)


st.markdown(
    "Train a network that reads handwritten digits, and watch it learn. Draw a digit and see what the network sees "
    "and says, stroke by stroke. Then find out where it fails, and why."
)

ways = (
    ("pages/train.py", "Train", ":material/model_training:", "Choose a recipe, turn its knobs, watch the curves."),
    ("pages/draw.py", "Draw", ":material/draw:", "Sketch a digit with the mouse or a finger."),
    ("pages/teach.py", "Teach", ":material/school:", "Label your drawings, and a model learns your hand."),
    ("pages/inside.py", "Inside", ":material/visibility:", "Every layer as it answers, and where it looked."),
    ("pages/replay.py", "Replay", ":material/history:", "How a network learned, from its first step to its last."),
    ("pages/results.py", "Results", ":material/grid_on:", "Confusions, mistakes and figures per class."),
    ("pages/compare.py", "Compare", ":material/compare_arrows:", "Runs side by side, and what a setting changes."),
    ("pages/data.py", "Data", ":material/dataset:", "The images themselves: classes, pixels, split, augmentation."),
)
shown = [way for way in ways if way[1] in page.reachable() and not hidden(way[1].lower())]
for start in range(0, len(shown), IN_A_ROW):
    for column, (target, label, icon, text) in zip(st.columns(IN_A_ROW), shown[start : start + IN_A_ROW], strict=False):
        with column.container(border=True, height="stretch"):
            st.page_link(target, label=f"**{label}**", icon=icon)
            st.caption(text)

if actions.changeable():
    with page.errors_as_messages():
        offer_download("mnist", "home")
    with page.errors_as_messages():
        show_lessons()

st.subheader("Overview")
runs = list_runs()
active = [run for run in runs if run.status().active]
models = every_model()
facts = (
    ("Models", str(len(models)), "Shipped with the lab or trained here."),
    ("Runs", str(len(runs)), f"Trainings on this machine, in {runs_folder().resolve()}"),
    ("Training now", str(len(active)), "Runs that are running, paused or waiting."),
    (
        "MNIST",
        "here" if mnist_available(data_folder()) else "not yet",
        f"Data folder: {data_folder().resolve()}",
    ),
)
with st.container(horizontal=True):
    for label, value, explanation in facts:
        show_fact(label, value, explanation)
    page.when_ready(show_device, warmup.ready, partial(show_fact, "Computes on", "…", "Torch is being loaded."))

if models:
    show_models(models)
warmup.page_sent()
