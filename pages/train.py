"""Train: pick a recipe, turn its knobs, run, pause, stop; curves that stream."""

import streamlit as st

from mnist_core.config import TrainConfig
from mnist_core.data import data_folder, default_dataset, is_there
from mnist_core.recipes import RECIPES
from mnist_core.runs import Run, create_run, list_runs
from mnist_core.sources import SOURCES
from ui import house, page
from ui.datasets import choose_dataset
from ui.download_offer import offer_download
from ui.knobs import changed, knobs
from ui.live_run import duration, show_run

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
offer = st.container()
present = default_dataset(data_folder())
# above the columns, so that on a phone the curves follow the button and not ten knobs
top = st.columns([2, 2, 1], vertical_alignment="bottom")
with top[0]:
    dataset = choose_dataset("Dataset", present, f"dataset-{present}")
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
    config = knobs(recipe.config(dataset or present))
    differences = changed(config, recipe.config(dataset or present))
    if differences and st.button("Back to the recipe", icon=":material/undo:"):
        st.session_state["knobs-reset"] = st.session_state.get("knobs-reset", 0) + 1
        st.rerun()

runs = list_runs()
run = run_to_show(runs)
busy = any(other.status().active for other in runs)
missing = dataset is None or not is_there(dataset, data_folder())
with offer, page.sentences():
    offer_download(dataset if dataset in SOURCES else "mnist", "train")
with page.sentences():
    if go.button(
        "Queue" if busy else "Run",
        type="primary",
        icon=":material/play_arrow:",
        width="stretch",
        disabled=config is None or missing,
        help="The dataset is not on this machine yet." if missing else None,
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
