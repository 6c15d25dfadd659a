"""MNIST Lab as a library: configuration, data, models, training, runs, evaluation, drawing; no screen.

    from mnist_core import TrainState, get_recipe, load_dataset, train

What is named here is imported when it is first used: `import mnist_core` alone loads no torch.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

# How long a thread of torch spins at a barrier before it sleeps. GNU OpenMP's own choice spins so long that beside
# other work (a browser, a second session) a training took almost twice as long; not to spin at all costs half as much
# again when alone. It is read when torch is loaded, so this is the place for it.
os.environ.setdefault("GOMP_SPINCOUNT", "20000")

if TYPE_CHECKING:  # for editors and type checkers; the same names as _MODULES
    from mnist_core.config import TrainConfig
    from mnist_core.data.dataset import Dataset
    from mnist_core.data.loading import load_dataset
    from mnist_core.errors import LabError
    from mnist_core.inference.metrics import evaluate
    from mnist_core.inference.predictor import Predictor
    from mnist_core.models.checkpoint import load_checkpoint
    from mnist_core.recipes import get_recipe
    from mnist_core.runs.run import create_run, list_runs, open_run
    from mnist_core.training.loop import train
    from mnist_core.training.state import TrainState

_MODULES = {
    "Dataset": "data.dataset",
    "LabError": "errors",
    "Predictor": "inference.predictor",
    "TrainConfig": "config",
    "TrainState": "training.state",
    "create_run": "runs.run",
    "evaluate": "inference.metrics",
    "get_recipe": "recipes",
    "list_runs": "runs.run",
    "load_checkpoint": "models.checkpoint",
    "load_dataset": "data.loading",
    "open_run": "runs.run",
    "train": "training.loop",
}
__all__ = [
    "Dataset",
    "LabError",
    "Predictor",
    "TrainConfig",
    "TrainState",
    "create_run",
    "evaluate",
    "get_recipe",
    "list_runs",
    "load_checkpoint",
    "load_dataset",
    "open_run",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
