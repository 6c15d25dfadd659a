"""Ablations on the Compare page: choose settings and values, start, watch, read the results."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import streamlit as st

from mnist_core.config import TrainConfig, field_choices, field_help
from mnist_core.errors import ConfigError
from mnist_core.experiments.ablation import Factor, Study, list_studies, plan, setting_label
from mnist_core.experiments.compare import seconds_left
from mnist_core.experiments.significance import METRICS, Analysis, SettingResult, analyse
from mnist_core.figures.bands import Band
from mnist_core.figures.curves import band_figure
from mnist_core.models.architectures import MODELS
from mnist_core.runs.labels import moment, run_label
from mnist_core.runs.run import list_runs
from mnist_core.runs.snapshot import duration
from mnist_core.system.settings import parallel_runs
from ui import actions, cache, page
from ui.live.chart import live_chart
from ui.live.legend import legend
from ui.widgets import confirm
from ui.widgets.base_settings import choose_base, is_missing

REFRESH_SECONDS = 2.0
MOST_FACTORS = 2
# field → (name, values to begin with); what a person types instead is checked as any setting is
READY: dict[str, tuple[str, list[str]]] = {
    "dropout": ("Dropout", ["0", "0.25", "0.5"]),
    "batch_norm": ("Batch norm", ["on", "off"]),
    "l2_first": ("L2 penalty of the first dense layer", ["0", "0.0001", "0.001"]),
    "weight_decay": ("Weight decay", ["0", "0.0001", "0.001"]),
    "learning_rate": ("Learning rate", ["0.001", "0.003", "0.01"]),
    "optimizer": ("Optimizer", ["adam", "adamw", "sgd"]),
    "activation": ("Activation", ["relu", "gelu", "tanh"]),
    "model": ("Network", ["quick-cnn", "two-conv", "mlp"]),
    "train_share": ("Share of the training images", ["1", "0.1", "0.01"]),
    "label_noise": ("Share of wrong labels", ["0", "0.2", "0.5"]),
}
CHOICES = {
    "batch_norm": ["on", "off"],
    "optimizer": field_choices("optimizer"),
    "activation": field_choices("activation"),
    "model": list(MODELS),
}
FIGURES = ("val_loss", "val_accuracy", "test_accuracy")


def ablation() -> None:
    """The whole section. Raises LabError."""
    studies = list_studies()
    st.markdown(
        "Does a setting matter, or was it luck? Train each value several times, with other random numbers (*seeds*), "
        "and see whether the values differ by more than the seeds do."
    )
    if actions.changeable():
        with st.expander("A new ablation", expanded=not studies, icon=":material/science:"), page.errors_as_messages():
            _new_study()
    if not studies:
        return
    by_id = {study.id: study for study in studies}
    if st.session_state.get("study") not in by_id:
        st.session_state["study"] = studies[0].id
    chosen = st.selectbox(
        "Ablation",
        list(by_id),
        format_func=lambda study_id: _study_label(by_id[study_id]),
        key="study",
        persist_state="session",
    )
    study = by_id[chosen]
    active = _active(study)
    st.fragment(_watch, run_every=REFRESH_SECONDS if active else None)(study, active)


def _study_label(study: Study) -> str:
    return f"{study.title}, {study.base['dataset']}, {moment(*study.id.split('-')[:2])}"


def _active(study: Study) -> bool:
    finished, total = study.progress()
    return finished < total


# ---- planning -------------------------------------------------------------------------------------------------------


def _new_study() -> None:
    base = choose_base("ablation")
    if base is None:
        return
    fields = st.multiselect(
        "Settings to vary",
        list(READY),
        default=["dropout"],
        format_func=lambda field: READY[field][0],
        max_selections=MOST_FACTORS,
        help="One, or two in all combinations",
        key="ablation-fields",
        persist_state="session",
    )
    factors = [Factor(field, _values(field, base)) for field in fields]
    seeds = st.slider(
        "Seeds",
        1,
        10,
        3,
        help="Trainings of each combination. One cannot tell a difference from luck; five tell small ones.",
        key="ablation-seeds",
        persist_state="session",
    )
    configs = plan(base, factors, range(base.seed, base.seed + seeds))
    missing = is_missing(base)
    waiting = any(run.status().active for run in list_runs())
    settings = len(configs) // seeds
    words = f"**{len(configs)} runs**: {settings} combinations × {seeds} seed{'s' if seeds > 1 else ''}."
    if waiting and not missing:
        words += " Another training is running: these wait in the queue."
    st.markdown(words)
    if not missing and not waiting:
        actions.warm()
        page.when_ready(
            partial(_estimate, configs[:settings], seeds),
            actions.settled,
            partial(st.caption, "How long they take is being measured."),
        )
    if st.button("Start", type="primary", icon=":material/play_arrow:", disabled=missing, key="ablation-start"):
        study = actions.start_study(base, factors, list(range(base.seed, base.seed + seeds)))
        st.session_state["study"] = study.id
        st.rerun()


def _estimate(configs: Sequence[TrainConfig], seeds: int) -> None:
    """How long the trainings of `configs` take, each with so many seeds."""
    seconds = sum(cache.measured_seconds(config.replace(seed=0)) for config in configs) * seeds
    st.caption(f"About {duration(seconds / min(parallel_runs(), seeds * len(configs)))} on this machine.")


def _values(field: str, base: TrainConfig) -> list[Any]:
    """The values to try of one setting, typed. Raises ConfigError."""
    name, start = READY[field]
    free = field not in CHOICES
    texts = st.multiselect(
        f"{name}: values",
        CHOICES.get(field, start),
        default=start,
        accept_new_options=free,
        help=f"{field_help(field)} The others are compared with the first."
        + (" Type a number to add it." if free else ""),
        key=f"ablation-values-{field}",
        persist_state="session",
    )
    values = [getattr(base.replace(**{field: text}), field) for text in texts]
    if len(set(values)) < len(values):
        raise ConfigError(f"{name}: each value once, please.")
    return values


# ---- watching and reading -------------------------------------------------------------------------------------------


def _watch(study: Study, was_active: bool) -> None:
    with page.errors_as_messages():
        active = _active(study)
        if was_active and not active:
            st.rerun()
        _progress(study, active)
        _failures(study)
        _results(study)


def _progress(study: Study, active: bool) -> None:
    finished, total = study.progress()
    runs = study.all_runs()
    words = f"{finished} of {total} runs ended"
    if active:
        left = seconds_left(runs)
        words += f" · about {duration(left / min(parallel_runs(), total))} left" if left is not None else ""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(finished / total, words)
        if active and actions.changeable() and st.button("Cancel", key=f"cancel-{study.id}", icon=":material/stop:"):
            confirm.stop([run for run in runs if run.status().active])
    if len(runs) < total:
        st.caption(f"{total - len(runs)} of its runs are no longer on this machine.")


def _failures(study: Study) -> None:
    for run in study.all_runs():
        status = run.status()
        if status.state in ("failed", "crashed"):
            st.warning(f"{page.escape_markdown(run_label(run))} {status.state}: {status.reason}")


@st.cache_resource(show_spinner=False, max_entries=32)
def _analysis(_study: Study, where: str, finished: int, metric: str) -> Analysis:
    """Reads all of the study's events: not more often than something has changed."""
    return analyse(_study, metric)


def _results(study: Study) -> None:
    completed = sum(run.status().state == "completed" for run in study.all_runs())
    if not completed:
        st.caption("The results appear here with the first completed run.")
        return
    figures = st.container()
    metric = st.selectbox(
        "Do they differ? Judged by",
        list(METRICS),
        format_func=lambda name: METRICS[name].capitalize(),
        help="At the end of each run",
        key="ablation-metric",
        persist_state="session",
        width=300,
    )
    analysis = _analysis(study, f"{study.runs_dir.resolve()}/{study.id}", completed, metric)
    with figures:
        _figures(study, analysis.settings)
    if analysis.main_effects:
        st.markdown("**Each setting by itself**, averaged over the other one:")
        st.markdown("\n".join(f"- {effect.sentence}" for effect in analysis.main_effects))
        st.markdown("**Each combination** against the first:")
    st.markdown("\n".join(f"- {comparison.sentence}" for comparison in analysis.comparisons))
    st.caption(
        "*More than seed noise*: if the setting changed nothing, the seeds alone would give such a difference in fewer "
        "than 5 of 100 studies like this one (p < 0.05)."
    )


def _figures(study: Study, results: list[SettingResult]) -> None:
    st.dataframe([_row(result) for result in results], hide_index=True)
    st.caption(
        "Mean ± standard deviation over the completed seeds, at the end of the training. 95 %: the interval of the "
        "mean accuracy in percent (Wilson), by the number of images."
    )
    names = [setting_label(result.setting) for result in results]
    legend(names, "Lines: the mean over the seeds. Bands: one standard deviation to both sides.")
    log = st.toggle("Logarithmic y-axis", key="ablation-log", persist_state="session")
    bands = [
        Band(name, place, result.curve_x, result.curve)
        for place, (name, result) in enumerate(zip(names, results, strict=True))
        if result.seeds
    ]
    live_chart(band_figure(bands, "Validation loss", "epoch", log), key=f"study-{study.id}", height=360)


def _row(result: SettingResult) -> dict[str, Any]:
    figures = {}
    for name in FIGURES:
        figures[METRICS[name]] = _mean_and_std(result, name)
        if name.endswith("accuracy"):
            figures[f"{METRICS[name]}, 95 %"] = result.interval(name) or "–"
    setting = {name.replace("_", " "): value for name, value in result.setting.items()}
    return {**setting, "seeds": len(result.seeds), **figures}


def _mean_and_std(result: SettingResult, metric: str) -> str:
    mean, std = result.mean(metric), result.std(metric)
    if np.isnan(mean):
        return "–"
    return f"{mean:.4f}" if np.isnan(std) else f"{mean:.4f} ± {std:.4f}"
