"""Train: pick a recipe, turn its knobs, run, pause, step, change, stop; curves that stream."""

from functools import partial

import streamlit as st

from mnist_core.config import TrainConfig
from mnist_core.data.loading import default_dataset, is_available
from mnist_core.data.mirrors import SOURCES
from mnist_core.experiments.seeds import MOST_SEEDS, USUAL_SEEDS, group_of
from mnist_core.runs.run import Run, list_runs
from mnist_core.runs.snapshot import duration
from mnist_core.system.settings import data_folder
from ui import actions, cache, page, warmup
from ui.hidden import hidden
from ui.labels import preparation_words, run_labels
from ui.panels.finder import show_finder
from ui.panels.look import look_inside
from ui.panels.queue import show_queue
from ui.panels.run import outcome, show_no_run, show_read_only, show_run
from ui.panels.run_controls import evaluate_stopped, start_run, start_seeds
from ui.panels.run_list import show_run_list
from ui.panels.seeds import choose_view, show_seeds
from ui.user import ask_user
from ui.widgets.confirm import show_confirmation
from ui.widgets.dataset import choose_dataset, offer_download
from ui.widgets.layers import show_layers
from ui.widgets.query_params import begin_with, beginning, preparation, read_address, write_address
from ui.widgets.settings import changed, choose_recipe, knobs

page.begin("Train", "📈")


def run_to_show(runs: list[Run]) -> Run | None:
    """The one chosen here, as long as it is there; else one that is active; else the newest."""
    chosen = [run for run in runs if run.id == st.session_state.get("run")]
    active = [run for run in runs if run.status().active]
    return next(iter(chosen + active[::-1] + runs), None)


def show_one(run: Run, runs: list[Run]) -> None:
    """One run's panel, with a choice of earlier ones behind its curves."""
    behind = [other for other in runs if other.id != run.id]
    names = run_labels(behind)
    panel = st.container()
    compared = list(names)[:1]
    if not hidden("earlier"):
        compared = st.multiselect(
            "Earlier runs behind the curves",
            list(names),
            default=compared,
            format_func=lambda run_id: names.get(run_id, run_id),
            max_selections=3,
            key=f"behind-{run.id}",
        )
    with panel:
        show_run(run, [other for other in behind if other.id in compared])
        with page.errors_as_messages():
            look_inside(run)
            evaluate_stopped(run)
            outcome(run)


if not actions.changeable():
    with page.errors_as_messages():
        show_read_only()
    st.stop()
offer = st.container()
present = default_dataset(data_folder())
with page.errors_as_messages():
    read_address(f"dataset-{present}")
# above the columns, so that on a phone the curves follow the button and not ten knobs
top = st.columns([4, 4, 2, 3], vertical_alignment="bottom")
with top[0]:
    dataset = choose_dataset("Dataset", present, f"dataset-{present}", preparation=preparation)
with top[1]:
    recipe = choose_recipe("recipe", "Settings that work well together. Turn any of them below.")
with top[2], page.errors_as_messages():
    ask_user()
go = top[3].empty()
words = st.empty()
charts, settings = st.columns([2, 1], gap="large")
config, differences = None, ""
finder = settings.container()
with settings, page.errors_as_messages():
    start_from = recipe.config(dataset or present)
    config = knobs(beginning(start_from))
    differences = changed(config, start_from)
    if differences and st.button("Back to the recipe", icon=":material/undo:"):
        begin_with(recipe.name, {})
        st.rerun()
    seeds = USUAL_SEEDS
    if not (hidden("seeds") or hidden("seed") or hidden("settings")):
        seeds = int(
            st.number_input(
                "Trainings at one click (×)",
                2,
                MOST_SEEDS,
                USUAL_SEEDS,
                key="seeds",
                persist_state="session",
                help="How many trainings the button × queues. They differ by their seed alone, so their spread is "
                "what chance does.",
            )
        )
    if dataset is not None:
        write_address(config, start_from)
        st.caption("The address of this page holds these settings: pass it on, and they open elsewhere.")
        details = st.container()

runs = list_runs()
run = run_to_show(runs)
busy = any(other.status().active for other in runs)
missing = dataset is None or not is_available(dataset, data_folder())
with offer, page.errors_as_messages():
    offer_download(dataset if dataset in SOURCES else "mnist", "train")
with page.errors_as_messages():
    absent = "The dataset is not on this machine yet." if missing else ""
    with go.container(horizontal=True):
        if st.button(
            "Queue" if busy else "Run",
            type="primary",
            icon=":material/play_arrow:",
            width="stretch",
            disabled=config is None or missing,
            help=absent or None,
        ):
            start_run(config)
        if not (hidden("seeds") or hidden("seed")) and st.button(
            f"× {seeds} seeds",
            key="run-seeds",
            width="stretch",
            disabled=config is None or missing,
            help=absent
            or f"Queues {seeds} trainings that differ by their seed alone: their mean and spread are shown.",
        ):
            start_seeds(config, seeds)
about = " ".join([recipe.summary, f"Changed: {differences}." if differences else ""])
words.caption(about)

with charts:
    if run is None:
        show_no_run(config.epochs if config is not None else 1)
    elif choose_view(group := group_of(run, runs), run):
        show_seeds(group)
    else:
        show_one(run, runs)
    with page.errors_as_messages():
        show_queue()
with page.errors_as_messages():
    if not hidden("runs"):
        show_run_list()
show_confirmation()
# last, since all else is on the page by now
with page.errors_as_messages():
    warmup.page_sent(actions.warm)


def take(config: TrainConfig, field: str, value: object) -> None:
    """Sets the knob of one setting, and leaves the others where they stand."""
    begin_with(recipe.name, {**config.differences(start_from), field: value})
    st.rerun()


def show_finders(config: TrainConfig, dataset: str) -> None:
    """The learning-rate finder and the batch-size hint."""
    training = any(other.status().state in ("running", "queued") for other in runs)
    show_finder(
        config, cache.dataset(dataset, preparation=config.preparation).fingerprint, training, partial(take, config)
    )


def show_details(config: TrainConfig, dataset: str) -> None:
    """How the dataset's pictures are prepared, what looks wrong with it, and the layers of the network."""
    data = cache.dataset(dataset, preparation=config.preparation)
    st.caption(preparation_words(data.preparation))
    page.show_note(data.warning)
    if not hidden("layers"):
        show_layers(config, data.shape)


def show_estimate(config: TrainConfig) -> None:
    """How long the training takes. What is measured while a worker warms up is several times too long."""
    seconds = cache.measured_seconds(config.replace(seed=0))
    st.caption(f"{about} About {duration(seconds)} of training on this machine.")


if config is not None and dataset is not None and not missing:
    # not before all is loaded: the first page of a server is not to wait for the dataset; the details bring it then
    if warmup.ready() and not any(map(hidden, ("finder", "settings", "learning_rate"))):
        with finder, page.errors_as_messages():
            show_finders(config, dataset)
    with details, page.errors_as_messages():
        page.when_ready(
            partial(show_details, config, dataset),
            warmup.ready,
            partial(st.caption, "The layers of the network appear in a moment."),
        )
    if not busy:
        with words.container(), page.errors_as_messages():
            page.when_ready(
                partial(show_estimate, config),
                lambda: warmup.ready() and actions.settled(),
                partial(st.caption, f"{about} How long it takes is being measured."),
            )
