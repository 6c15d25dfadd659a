"""follow(group): what the other processes of a training do while process 0 executes the run (`execute.py`).

They have no run folder. Process 0 tells them the settings and the state to go on from, and after each event what the
run's commands are: nothing, changes of settings, or to stop. Until it does they wait, so a pause needs no message.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_core.config import TrainConfig, parse_stored_config
from mnist_core.errors import LabError
from mnist_core.system.processes import Group

if TYPE_CHECKING:
    from mnist_core.data.dataset import Dataset
    from mnist_core.training.state import TrainState

STOP = "stop"


def follow(group: Group, data_dir: Path | str | None = None) -> None:
    """Takes part in the training of process 0 until its end. Raises RunFailedError where it cannot."""
    from mnist_core.training.loop import DivergedError, train

    config, saved = group.broadcast(None) or (None, None)
    data, state = prepared(parse_stored_config(config), saved, data_dir, group)
    with contextlib.suppress(DivergedError):  # as process 0 finds too, and says
        for _ in train(state, data):
            told: Any = group.broadcast(None)
            if told == STOP:
                return
            for change in told or ():
                state.change(change["field"], change["to"], change["asked"])


def prepared(
    config: TrainConfig, saved: dict[str, Any] | None, data_dir: Path | str | None, group: Group
) -> tuple[Dataset, TrainState]:
    """The dataset of `config` and the state of its training, new or as `saved`: the same in every process of `group`.

    Raises what `load_for`, TrainState and `restore` raise, and with several processes RunFailedError in all of them
    where one cannot begin, or has other data or another version.
    """
    from mnist_core.data.prepare import load_for
    from mnist_core.training.resume import restore
    from mnist_core.training.state import TrainState
    from mnist_core.training.together import agree

    data, state, error = None, None, None
    try:
        data = load_for(config, data_dir, further=True)
        state = TrainState(config, data, group=group)
        if saved is not None:
            restore(state, saved)
    except LabError as found:
        error = found
    agree(group, state, data, error)
    assert data is not None
    assert state is not None  # or there is an error
    return data, state
