"""The settings of a training as widgets, one per field of TrainConfig, with its range and description."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from mnist_core.config import TrainConfig, field_choices, field_help, field_range
from mnist_core.data.rehearsal import is_teaching
from mnist_core.models.architectures import MODELS, has_dropout
from mnist_core.recipes import RECIPES, Recipe
from mnist_core.system.threads import cores
from mnist_core.training.changes import setting, shown
from ui.hidden import hidden
from ui.widgets.fold import fold

LEARNING_RATES = [1e-5, 3e-5, 1e-4, 2e-4, 3e-4, 5e-4, 1e-3, 2e-3, 3e-3, 6e-3, 1e-2, 2e-2, 3e-2, 5e-2, 0.1, 0.3, 1.0]
WEIGHT_DECAYS = [0.0, 1e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1]
BATCH_SIZES = [16, 32, 64, 100, 128, 256, 512, 1024]
TRAIN_SHARES = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0]
EMA_DECAYS = [0.0, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999]


def choose_recipe(key: str, explanation: str) -> Recipe:
    """A select box over all recipes."""
    if hidden("recipe"):
        return RECIPES[st.session_state.setdefault(key, next(iter(RECIPES)))]
    name = st.selectbox(
        "Recipe",
        list(RECIPES),
        format_func=lambda name: RECIPES[name].title,
        help=explanation,
        key=key,
        persist_state="session",
    )
    return RECIPES[name]


def knobs(start: TrainConfig) -> TrainConfig:
    """Widgets that begin at `start` → the config of their values. Each recipe and dataset has its own widgets.

    Raises ConfigError when the values do not fit together.
    """
    panel = _Panel(start)
    if hidden("settings"):
        return start
    st.markdown("**Settings**")
    panel.choice("model", list(MODELS), "Network")
    st.caption(MODELS[panel.values["model"]].summary)
    panel.number("epochs", "Epochs", 1, 100, 1)
    panel.pick("batch_size", "Batch size", BATCH_SIZES)
    panel.pick("learning_rate", "Learning rate", LEARNING_RATES)
    panel.choice("optimizer", field_choices("optimizer"), "Optimizer")
    panel.number("dropout", "Dropout", 0.0, 0.9, 0.05)
    panel.switch("batch_norm", "Batch norm")
    panel.pick("weight_decay", "Weight decay", WEIGHT_DECAYS)
    panel.group("augmentation", "Augmentation", ":material/transform:", _Panel.augmentation)
    panel.group("more", "More settings", ":material/tune:", _more)
    panel.group("ending", "When to end and what to keep", ":material/flag:", _ending)
    panel.switch("snapshots", "Keep the weights on the way, for Replay")
    panel.integer("seed", "Seed")
    return start.replace(**panel.values)


def _more(panel: _Panel) -> None:
    start = panel.start
    panel.choice("schedule", field_choices("schedule"), "Learning-rate schedule")
    if panel.values["schedule"] == "step":
        panel.number("step_epochs", "Epochs between drops", 1, 50, 1)
        panel.number("step_factor", "Drop factor", 0.05, 1.0, 0.05)
    if panel.values["optimizer"] == "sgd":
        panel.number("momentum", "Momentum", 0.0, 0.99, 0.01)
    panel.choice("activation", field_choices("activation"), "Activation")
    panel.number("label_smoothing", "Label smoothing", 0.0, 0.5, 0.01)
    panel.pick("ema_decay", "Weight averaging", EMA_DECAYS)
    panel.pick("l2_first", "L2 of the first dense layer", WEIGHT_DECAYS)
    panel.choice("head", field_choices("head"), "Output")
    panel.choice("labels", field_choices("labels"), "Labels")
    kept = start.preparation  # not offered, but what a kept configuration of an earlier version may have
    kinds = [kind for kind in field_choices("preparation") if kind != "unrecorded" or kind == kept]
    panel.choice("preparation", kinds, "Preparation of pictures")
    panel.choice("normalization", field_choices("normalization"), "Normalisation")
    panel.choice("split", field_choices("split"), "Test images")
    if panel.values["split"] == "pooled":
        panel.number("test_fraction", "Test share", 0.05, 0.5, 0.01)
    panel.validation()
    if not is_teaching(start):  # it learns all there is, with its labels
        panel.pick("train_share", "Share of the training images", TRAIN_SHARES)
        panel.number("label_noise", "Share of wrong labels", 0.0, 0.95, 0.05)
    panel.number("validations_per_epoch", "Validations per epoch", 1, 20, 1)
    panel.choice("precision", field_choices("precision"), "Precision")
    panel.number("threads", "CPU threads (0: all)", 0, cores(), 1)
    panel.text("init_from", "Weights to begin with", "random; or a model's name: best")
    if panel.values["init_from"]:
        panel.number("init_share", "Share of those weights in what is kept", 0.0, 0.9, 0.05)
    panel.text("teachers", "Teachers", "none; or models' names: best, accurate")
    if panel.values["teachers"]:
        panel.number("distillation", "Weight of the teachers", 0.0, 1.0, 0.05)
    panel.text("extra", "Further drawings to learn from", "drawings:PATH")
    if panel.values["extra"]:
        panel.number("extra_copies", "Copies of each drawing", 1, 20, 1)
        panel.number("extra_invented", "Share of them in invented hands", 0.0, 1.0, 0.1)
    panel.number("non_digits", "Non-digits to learn from", 0, 20_000, 1000)
    if start.rehearsal:
        panel.text("rehearsal", "Dataset to rehearse", "what the model learned from before: mnist")
        panel.number("rehearsal_images", "Images to rehearse", 0, 50_000, 500)


def _ending(panel: _Panel) -> None:
    panel.number("patience", "Early stopping (epochs without a better one)", 0, 30, 1)
    panel.choice("keep", field_choices("keep"), "Keep the weights of the epoch that is")
    panel.note("Better is a higher accuracy on validation, or the same with a lower loss. Test images choose nothing.")


def augmentation_knobs(start: TrainConfig) -> TrainConfig:
    """The widgets of augmentation only, which begin at `start` → the config of their values."""
    panel = _Panel(start)
    panel.augmentation()
    return start.replace(**panel.values)


def change_knobs(current: TrainConfig, key: str) -> TrainConfig:
    """The widgets of settings that can be changed during a training, beginning at `current` → the config."""
    panel = _Panel(current, key)
    panel.pick("learning_rate", "Learning rate", LEARNING_RATES)
    if has_dropout(current.model):
        panel.number("dropout", "Dropout", 0.0, 0.9, 0.05)
    else:
        st.caption(f"The network {current.model} has no dropout layer.")
    panel.pick("weight_decay", "Weight decay", WEIGHT_DECAYS)
    panel.number("threads", "CPU threads (0: all)", 0, cores(), 1)
    st.markdown("**Augmentation**")
    panel.augmentation()
    return current.replace(**panel.values)


def split_knobs(start: TrainConfig) -> TrainConfig:
    """The widgets of the split only, which begin at `start` → the config of their values."""
    panel = _Panel(start)
    panel.validation()
    panel.integer("seed", "Seed")
    return start.replace(**panel.values)


def changed(config: TrainConfig, other: TrainConfig) -> str:
    """The settings in which `config` differs from `other`, in a line; empty without any."""
    settings = {k: v for k, v in config.differences(other).items() if k not in ("recipe", "dataset")}
    return ", ".join(f"{name.replace('_', ' ')} {setting(name, value)}" for name, value in settings.items())


class _Panel:
    """Collects the values of widgets. Their keys contain recipe and dataset, or `key`, and survive a page switch."""

    def __init__(self, start: TrainConfig, key: str = "") -> None:
        self.start = start
        self.key = key or f"knob-{start.dataset}-{start.recipe}-{st.session_state.get('knobs-reset', 0)}"
        self.values: dict[str, Any] = {}
        self.folded = False

    def _common(self, field: str) -> dict[str, Any]:
        return {"key": f"{self.key}-{field}", "help": field_help(field), "persist_state": "session"}

    def absent(self, field: str) -> bool:
        """Whether a setting is not on the page. Hidden by a link it keeps its value; folded up, what it was set to."""
        start, kept_back = getattr(self.start, field), hidden(field)
        value = start if kept_back else st.session_state.get(f"{self.key}-{field}", start)
        self.values[field] = value.strip() if isinstance(value, str) else value
        return kept_back or self.folded

    def group(self, name: str, label: str, icon: str, fill: Callable[[_Panel], None]) -> None:
        """Settings that are folded up; none where a link hides them all."""
        if hidden(name):
            return
        with fold(label, f"knobs-{name}", icon) as is_open:
            self.folded = not is_open
            fill(self)
        self.folded = False

    def note(self, text: str) -> None:
        if not self.folded:
            st.caption(text)

    def choice(self, field: str, options: list[str], label: str) -> None:
        if self.absent(field):
            return
        index = options.index(getattr(self.start, field))
        self.values[field] = st.selectbox(label, options, index=index, **self._common(field))

    def pick(self, field: str, label: str, options: list[Any]) -> None:
        if self.absent(field):
            return
        value = getattr(self.start, field)
        places = sorted({*options, value})
        self.values[field] = st.select_slider(label, places, value=value, format_func=shown, **self._common(field))

    def number(self, field: str, label: str, low: float, high: float, step: float) -> None:
        if self.absent(field):
            return
        value = type(step)(getattr(self.start, field))
        low, high = min(type(step)(low), value), max(type(step)(high), value)
        self.values[field] = st.slider(label, low, high, value=value, step=step, **self._common(field))

    def switch(self, field: str, label: str) -> None:
        if self.absent(field):
            return
        self.values[field] = st.toggle(label, value=getattr(self.start, field), **self._common(field))

    def text(self, field: str, label: str, placeholder: str) -> None:
        if self.absent(field):
            return
        value = st.text_input(label, getattr(self.start, field), placeholder=placeholder, **self._common(field))
        self.values[field] = value.strip()

    def integer(self, field: str, label: str) -> None:
        if self.absent(field):
            return
        value = getattr(self.start, field)
        self.values[field] = int(st.number_input(label, 0, 2**31 - 1, value=value, step=1, **self._common(field)))

    def augmentation(self) -> None:
        knobs = (
            ("rotation", "Rotation (± degrees)", 1.0),
            ("translation", "Shift (± pixels)", 0.5),
            ("scaling", "Scaling (± fraction)", 0.01),
            ("shear", "Slant (± degrees)", 1.0),
            ("elastic", "Bending (pixels)", 0.1),
        )
        for field, label, step in knobs:
            self.number(field, label, *field_range(field), step)
        self.number("erasing", "Blanked square (pixels a side)", *field_range("erasing"), 1)
        self.switch("flip", "Mirror left to right")

    def validation(self) -> None:
        _, most = field_range("validation_fraction")
        self.number("validation_fraction", "Validation share", 0.02, most, 0.01)
