"""python -m tests.helpers.together CONFIGS FOLDER, under torchrun or alone: trains each of the configs (JSON) on the
digits, and writes weights, average and events of every process into FOLDER.
"""

import json
import sys
from pathlib import Path

import torch

from mnist_core.config import TrainConfig
from mnist_core.data.prepare import load_for
from mnist_core.system.processes import joined
from mnist_core.training.loop import train
from mnist_core.training.state import TrainState


def trained(configs: list[dict], folder: Path) -> None:
    with joined() as group:
        for number, settings in enumerate(configs):
            config = TrainConfig(**settings)
            data = load_for(config)
            state = TrainState(config, data, group=group)
            events = list(train(state, data))
            found = {"model": state.model.state_dict(), "average": state.ema.module.state_dict(), "events": events}
            torch.save(found, folder / f"{group.size}-{number}-{group.rank}.pt")


if __name__ == "__main__":
    trained(json.loads(sys.argv[1]), Path(sys.argv[2]))
