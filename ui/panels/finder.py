"""Before a training: which learning rate, and which batch size? Measured in a process of its own, on Train."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from mnist_core.config import TrainConfig
from mnist_core.figures.finding import range_spec
from mnist_core.runs.measurement import Measurement
from ui import actions, cache, page
from ui.live.chart import live_chart
from ui.widgets.fold import fold
from ui.widgets.table import Column, show_table

REFRESH_SECONDS = 0.5
CHART_HEIGHT = 240
Take = Callable[[str, Any], None]
_COLUMNS = {
    "images a second": Column("{:,.0f}", "Of whole training steps with these settings, on this machine"),
    "steps an epoch": Column("{:,d}", "How often the weights change in a pass through the images"),
}


def show_finder(config: TrainConfig, fingerprint: str, busy: bool, take: Take) -> None:
    """Both measurements of these settings and the data of this fingerprint, folded up.

    `take` is called with a setting's name and its new value, when a person takes a suggestion.
    """
    with fold("Find a learning rate and a batch size", "finder", ":material/straighten:") as is_open:
        if not is_open:
            return
        st.caption(
            "**Learning rate**: a copy of the network learns for a minute at most, at a rate that rises with each "
            "batch. Where the loss falls, and where it breaks, tells which rate to choose. No run is kept."
        )
        _part("learning-rate", "Find a learning rate", config, fingerprint, busy, take, _show_rate)
        st.caption(
            "**Batch size**: images a second with batches of 16 to 1,024. Larger batches keep the machine busier and "
            "leave fewer steps to learn by."
        )
        _part("batch-size", "Measure batch sizes", config, fingerprint, busy, take, _show_sizes)


def _part(
    kind: str,
    label: str,
    config: TrainConfig,
    fingerprint: str,
    busy: bool,
    take: Take,
    show: Callable[[dict[str, Any], TrainConfig, Take], None],
) -> None:
    with page.errors_as_messages():
        found = cache.measurements().find(kind, config, fingerprint)
        if found is not None and found.running:
            st.fragment(_watch, run_every=REFRESH_SECONDS)(kind, found)
            return
        if found is not None and found.result is not None:
            show(found.result, config, take)
            label = "Measure again"
        elif found is not None:
            st.error(page.escape_markdown(found.error), icon=":material/error:")
        why = "A training is running or waiting: each would disturb the other. Try again when it has ended."
        if busy and found is None:
            st.caption(why)
        if st.button(label, key=f"measure-{kind}", icon=":material/speed:", disabled=busy, width="stretch"):
            actions.measure(kind, config, fingerprint)
            st.rerun()


def _watch(kind: str, found: Measurement) -> None:
    if not found.running:
        st.rerun()
    words = "Waiting for a training to end …" if found.waiting else "Measuring …" if found.share else "Getting ready …"
    st.progress(min(found.share, 1.0), words)
    if st.button("Cancel", key=f"cancel-{kind}", icon=":material/close:"):
        with page.errors_as_messages():
            actions.cancel(found)
            st.rerun()


def _show_rate(found: dict[str, Any], config: TrainConfig, take: Take) -> None:
    live_chart(range_spec(found), key="range-test", height=CHART_HEIGHT)
    st.markdown(found["reason"])
    if found["suggestion"] is not None:
        _offer("learning_rate", found["suggestion"], config, take)


def _show_sizes(found: dict[str, Any], config: TrainConfig, take: Take) -> None:
    rows = [
        {
            "size": f"{one['size']}{' ←' if one['size'] == found['suggestion'] else ''}",
            "images a second": one["images_per_second"],
            "steps an epoch": one["steps_per_epoch"],
        }
        for one in found["speeds"]
    ]
    show_table(rows, _COLUMNS, "Images a second by batch size")
    st.markdown(found["reason"])
    if found["suggestion"] is not None:
        _offer("batch_size", found["suggestion"], config, take)
        st.caption("Another batch size needs another learning rate: find that anew.")


def _offer(field: str, value: Any, config: TrainConfig, take: Take) -> None:
    there = getattr(config, field) == value
    label = f"{value:g} is set" if there else f"Take {value:g}"
    if st.button(label, key=f"take-{field}", icon=":material/check:", disabled=there, width="stretch"):
        take(field, value)
