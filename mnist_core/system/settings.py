"""Every environment variable of the lab (MNIST_LAB_…), read here and nowhere else, anew each time.

The modes are for the pages, which strangers may see. The limits hold on the command line too.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mnist_core.errors import ConfigError

PREFIX = "MNIST_LAB_"


class Limits(BaseModel):
    """Each field is the variable of its name in capitals after MNIST_LAB_; None is no limit."""

    model_config = ConfigDict(frozen=True)

    # read-only: nothing can be started, stopped, changed, deleted or downloaded; draw-only: the Draw page alone
    mode: Literal["full", "read-only", "draw-only"] = "full"
    max_epochs: int | None = Field(None, ge=1)
    max_minutes: float | None = Field(None, gt=0, allow_inf_nan=False)  # of training; pauses do not count
    max_queue: int | None = Field(None, ge=0)  # runs that wait, beside those that train
    max_storage: int | None = Field(None, ge=1)  # megabytes (10^6 bytes) of all runs

    def over_time(self, seconds: float) -> str:
        """Why a run that has trained for so long ends now; empty while it may go on."""
        if self.max_minutes is None or seconds < self.max_minutes * 60:
            return ""
        return f"Stopped at the time limit of this lab, {self.max_minutes:g} minutes of training."


def limits() -> Limits:
    """The present settings. Raises ConfigError that names the variable whose value makes no sense."""
    found = {name: os.environ.get(f"{PREFIX}{name.upper()}") for name in Limits.model_fields}
    try:
        return Limits(**{name: text.strip() for name, text in found.items() if text and text.strip()})
    except ValidationError as error:
        problem = error.errors()[0]
        name = f"{PREFIX}{str(problem['loc'][0]).upper()}"
        reason = problem["msg"].removeprefix("Input should be ")
        raise ConfigError(f"{name} should be {reason}, not {repr(problem['input'])[:60]}.") from None


def parallel_runs() -> int:
    """How many trainings may run at once: MNIST_LAB_PARALLEL, or 1. Raises ConfigError when that is no number."""
    text = os.environ.get("MNIST_LAB_PARALLEL") or "1"
    if not text.isdigit() or not 1 <= int(text) <= 64:
        raise ConfigError(f"MNIST_LAB_PARALLEL should be a number from 1 to 64, not '{text[:40]}'.")
    return int(text)


def data_folder() -> Path:
    """The data folder: MNIST_LAB_DATA, or ./data."""
    return Path(os.environ.get("MNIST_LAB_DATA") or "data")


def runs_folder() -> Path:
    """Where runs are kept: MNIST_LAB_RUNS, or ./runs."""
    return Path(os.environ.get("MNIST_LAB_RUNS") or "runs")
