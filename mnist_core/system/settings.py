"""The lab's environment variables, MNIST_LAB_…: read in this module alone, anew at each call.

The mode restricts the pages, which strangers may see. The limits hold on the command line too.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mnist_core.errors import ConfigError

PREFIX = "MNIST_LAB_"


class Limits(BaseModel):
    """Each field is the variable MNIST_LAB_ plus its name in capitals. None is no limit."""

    model_config = ConfigDict(frozen=True)

    # read-only: nothing can be started, stopped, changed, deleted or downloaded; draw-only: only the Draw page is shown
    mode: Literal["full", "read-only", "draw-only"] = "full"
    max_epochs: int | None = Field(None, ge=1)
    max_minutes: float | None = Field(None, gt=0, allow_inf_nan=False)  # of training; pauses do not count
    max_queue: int | None = Field(None, ge=0)  # runs that wait, beside those that train
    max_storage: int | None = Field(None, ge=1)  # megabytes (10^6 bytes) of all runs

    def over_time(self, seconds: float) -> str:
        """The reason to end a run that has trained for `seconds`; empty while it may go on."""
        if self.max_minutes is None or seconds < self.max_minutes * 60:
            return ""
        return f"Stopped at the time limit of {self.max_minutes:g} minutes of training (MNIST_LAB_MAX_MINUTES)."


def limits() -> Limits:
    """The present limits. Raises ConfigError, which names the variable, for an invalid value."""
    found = {name: os.environ.get(f"{PREFIX}{name.upper()}") for name in Limits.model_fields}
    try:
        return Limits(**{name: text.strip() for name, text in found.items() if text and text.strip()})
    except ValidationError as error:
        problem = error.errors()[0]
        name = f"{PREFIX}{str(problem['loc'][0]).upper()}"
        reason = problem["msg"].removeprefix("Input should be ")
        raise ConfigError(f"{name} should be {reason}, not {repr(problem['input'])[:60]}.") from None


def parallel_runs() -> int:
    """How many trainings may run at once, 1 to 64: MNIST_LAB_PARALLEL, or 1. Raises ConfigError."""
    text = os.environ.get("MNIST_LAB_PARALLEL") or "1"
    if not text.isdigit() or not 1 <= int(text) <= 64:
        raise ConfigError(f"MNIST_LAB_PARALLEL should be a number from 1 to 64, not '{text[:40]}'.")
    return int(text)


def join_seconds() -> float:
    """How long the processes of a training wait for each other: MNIST_LAB_JOIN_SECONDS, or 300. Raises ConfigError."""
    text = os.environ.get("MNIST_LAB_JOIN_SECONDS") or "300"
    if not text.isdigit() or not 1 <= int(text) <= 86_400:
        raise ConfigError(f"MNIST_LAB_JOIN_SECONDS should be a number from 1 to 86400, not '{text[:40]}'.")
    return float(text)


def data_folder() -> Path:
    """The data folder: MNIST_LAB_DATA, or ./data."""
    return Path(os.environ.get("MNIST_LAB_DATA") or "data")


def runs_folder() -> Path:
    """The folder of the runs: MNIST_LAB_RUNS, or ./runs."""
    return Path(os.environ.get("MNIST_LAB_RUNS") or "runs")


def study_storage() -> str:
    """Where searches are kept, a file or a database's URL: MNIST_LAB_STUDY; empty is a journal in the runs folder."""
    return os.environ.get("MNIST_LAB_STUDY", "").strip()


def choose_folders(data_dir: str | None, runs_dir: str | None) -> None:
    """Sets the data folder and the runs folder of this process and its children, in place of the environment's."""
    for name, folder in (("MNIST_LAB_DATA", data_dir), ("MNIST_LAB_RUNS", runs_dir)):
        if folder:
            os.environ[name] = folder


def mirrors() -> tuple[str, ...]:
    """URLs to download datasets from in place of the usual ones: MNIST_LAB_MIRRORS, separated by spaces."""
    return tuple(os.environ.get("MNIST_LAB_MIRRORS", "").split())
