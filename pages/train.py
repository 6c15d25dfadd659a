"""Train: pick a recipe, turn its knobs, run, pause, stop; curves that stream."""

import streamlit as st

from mnist_core.config import TrainConfig
from mnist_core.data import DATASETS, TITLES, data_folder, default_dataset, mnist_is_there
from mnist_core.recipes import RECIPES
from mnist_core.runs import Run, create_run, list_runs
from ui import house, page
from ui.knobs import changed, knobs
from ui.live_run import duration, show_run
from ui.mnist_offer import offer_mnist

page.begin("Train", "📈")


def start(config: TrainConfig) -> None:
    """Creates the run and hands it to a worker. Raises RunError."""
    run = create_run(config)
    house.workers().start(run)
    st.session_state["run"] = run.id
    st.rerun()


def run_to_show(runs: list[Run]) -> Run | None:
    """The one chosen here, as long as it is there; else one that is active; else the newest."""
    chosen = [run for run in runs if run.id == st.session_state.get("run")]
    active = [run for run in runs if run.status().active]
    return next(iter(chosen + active + runs), None)


with page.sentences():
    house.workers().warm()
with page.sentences():
    offer_mnist("train")

present = default_dataset(data_folder())
# above the columns, so that on a phone the curves follow the button and not ten knobs
top = st.columns([2, 2, 1], vertical_alignment="bottom")
dataset = top[0].selectbox(
    "Dataset",
    DATASETS,
    index=DATASETS.index(present),
    format_func=TITLES.get,
    key=f"dataset-{present}",
    persist_state="session",
)
recipe = RECIPES[
    top[1].selectbox(
        "Recipe",
        list(RECIPES),
        format_func=lambda name: RECIPES[name].title,
        help="Settings that work well together. Turn any of them below.",
        key="recipe",
        persist_state="session",
    )
]
go = top[2].empty()
words = st.empty()
charts, settings = st.columns([2, 1], gap="large")
config, differences = None, ""
with settings, page.sentences():
    config = knobs(recipe.config(dataset))
    differences = changed(config, recipe.config(dataset))
    if differences and st.button("Back to the recipe", icon=":material/undo:"):
        st.session_state["knobs-reset"] = st.session_state.get("knobs-reset", 0) + 1
        st.rerun()

runs = list_runs()
run = run_to_show(runs)
busy = any(other.status().active for other in runs)
missing = dataset == "mnist" and not mnist_is_there(data_folder())
with page.sentences():
    if go.button(
        "Queue" if busy else "Run",
        type="primary",
        icon=":material/play_arrow:",
        width="stretch",
        disabled=config is None or missing,
        help="MNIST is not on this machine yet: download it first." if missing else None,
    ):
        start(config)
about = [recipe.summary, f"Changed: {differences}." if differences else ""]
if config is not None and not missing and not busy:
    words.caption(" ".join(about))
    with page.sentences():
        about.append(f"About {duration(house.measured_seconds(config.replace(seed=0)))} of training on this machine.")
words.caption(" ".join(about))

with charts:
    if run is None:
        st.info(
            "Press **Run**: the network starts to learn, and its curves appear here.", icon=":material/arrow_forward:"
        )
    else:
        behind = [other for other in runs if other.id != run.id]
        names = {other.id: house.run_label(other) for other in behind}
        panel = st.container()
        compared = st.multiselect(
            "Earlier runs behind the curves",
            list(names),
            default=list(names)[:1],
            format_func=names.get,
            max_selections=3,
            key=f"behind-{run.id}",
        )
        with panel:
            show_run(run, [other for other in behind if other.id in compared])
            with page.sentences():
                house.outcome(run)
