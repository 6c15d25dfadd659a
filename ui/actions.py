"""What a visitor may do: everything that starts, stops, changes, deletes or downloads something goes through here.

The lab's mode and limits (mnist_core/system/settings.py) are enforced here. Pages hide what a mode forbids, which is a
convenience and no protection.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_core.config import TrainConfig
from mnist_core.data.collection import FOLDER, Collection, Kept
from mnist_core.data.download import DownloadStep, download
from mnist_core.errors import ConfigError, RunError
from mnist_core.experiments.ablation import Factor, Study, create_study
from mnist_core.experiments.seeds import create_seed_runs, next_seeds
from mnist_core.explain.votes import Votes
from mnist_core.runs.catalogue import Model
from mnist_core.runs.limits import check_limits
from mnist_core.runs.measurement import Measurement
from mnist_core.runs.queue import Queue
from mnist_core.runs.run import Run
from mnist_core.runs.storage import delete_run
from mnist_core.system.settings import data_folder, limits, runs_folder
from ui import cache
from ui.user import current_user

if TYPE_CHECKING:
    from mnist_core.experiments.compare import Record
    from mnist_core.experiments.search import Search
    from mnist_core.experiments.search_plan import Budget, Plan
    from mnist_core.experiments.search_winner import Winner

_starting = threading.Lock()  # two that start at once must not both take the last place


def changeable() -> bool:
    """Whether visitors may do anything but look and draw."""
    return limits().mode == "full"


def _require() -> None:
    if not changeable():
        raise RunError(f"This lab is {limits().mode} (MNIST_LAB_MODE): nothing can be changed here.")


def warm() -> None:
    """Has a worker ready. Raises RunError."""
    if changeable():
        cache.workers().warm()


def settled() -> bool:
    """Whether a worker is there and none is warming up, which takes all cores for some seconds; where nothing can be
    changed, there is none."""
    return not changeable() or cache.workers().settled()


def start(config: TrainConfig) -> Run:
    """A new run of this session's owner, handed to a worker. Raises LabError."""
    return start_seeds(config, 1)[0]


def start_seeds(config: TrainConfig, count: int) -> list[Run]:
    """`count` new runs of this session's owner with the seeds from that of `config` on, in the queue. Raises LabError.

    A teaching holds out the images that its model's seed held out, and is refused more than one.
    """
    _require()
    from mnist_core.experiments.teach import completed

    config = completed(config, data_folder())
    if count > 1 and config.recipe == "teach":
        raise ConfigError(
            "A teaching keeps the seed of its model, which says what images are held out: with other seeds it would be "
            "judged on images that the model has learned. Press Run for one."
        )
    with _starting:
        runs = create_seed_runs(config, next_seeds(config.seed, count), owner=current_user())
        cache.workers().warm()
    return runs


def start_study(base: TrainConfig, factors: Sequence[Factor], seeds: Sequence[int]) -> Study:
    """The runs of an ablation, in the queue. Raises ConfigError or RunError."""
    _require()
    with _starting:
        study = create_study(base, factors, seeds, owner=current_user())
        cache.workers().warm()
    return study


def start_search(plan: Plan, budget: Budget, workers: int) -> Search:
    """A search, and the processes that carry it out. Raises LabError."""
    _require()
    from mnist_core.experiments.search import begin_search
    from mnist_core.experiments.search_results import start_workers

    cache.workers().call("experiments.search_space:check_networks", plan.base, plan.ranges, data_folder())
    with _starting:
        check_limits([plan.longest])
        search = begin_search(plan, budget)
        start_workers(search, workers, data_folder())
    return search


def continue_search(search: Search, workers: int, budget: Budget | None = None) -> None:
    """More processes for a search, which goes on if it was stopped. Raises LabError."""
    _require()
    from mnist_core.experiments.search_results import start_workers

    with _starting:
        check_limits([search.plan.longest])
        if budget is not None:
            search.set_budget(budget)
        search.go_on()
        start_workers(search, workers, data_folder())


def stop_search(search: Search) -> None:
    """Ends a search: its runs stop as by hand, and go on when it does. Raises LabError."""
    _require()
    search.stop()


def train_winner(search: Search) -> Winner:
    """The best settings of a search, trained anew with five seeds. Raises LabError."""
    _require()
    from mnist_core.experiments.search_winner import train_winner

    with _starting:
        winner = train_winner(search, current_user())
        cache.workers().warm()
    return winner


def resume(run: Run) -> None:
    """Hands an interrupted run to a worker again. Raises RunError."""
    _require()
    run.command("run")
    run.set_status("queued")
    cache.workers().start(run)


def measure(kind: str, config: TrainConfig, fingerprint: str) -> Measurement:
    """Begins to measure what a training of `config` needs, for its data of this fingerprint. Raises LabError."""
    _require()
    from mnist_core.experiments.teach import completed

    return cache.measurements().start(
        kind, config, fingerprint, completed(config, data_folder()), runs_folder(), data_folder()
    )


def cancel(measurement: Measurement) -> None:
    """Ends a measurement. Raises RunError."""
    _require()
    measurement.cancel()


def command(run: Run, word: str) -> None:
    """Tells the run's process to do something. Raises RunError."""
    _require()
    run.command(word)


def step(run: Run, kind: str) -> None:
    """Has a paused run take a `batch` or an `epoch`. Raises RunError."""
    _require()
    run.step(kind)


def change(run: Run, settings: dict[str, Any]) -> None:
    """Has a run go on with other settings. Raises RunError or ConfigError."""
    _require()
    run.change(**settings)


def evaluate_stopped_run(run: Run) -> None:
    """Measures a stopped run's model on the test images. Raises LabError."""
    _require()
    from mnist_core.runs.checkpointing import evaluate_stopped_run as evaluate_run

    evaluate_run(run, data_folder())


def stop(run: Run) -> None:
    """Ends the run, or its waiting. Raises RunError."""
    _require()
    Queue(run.folder.parent).stop(run)


def delete(run: Run) -> None:
    """Removes an ended run. Raises RunError."""
    _require()
    delete_run(run.id, run.folder.parent)


def pin(run: Run, keep: bool) -> None:
    """Keeps a run from deletion, or no longer. Raises RunError."""
    _require()
    run.pin(keep)


def vote(images: str, row: int, said: str) -> None:
    """Keeps what this session's user says that an image shows. Raises RunError and DataError."""
    _require()
    Votes(runs_folder()).add(images, row, said, current_user())


def take_along(run: Run, form: str) -> bytes:
    """A run's model in a form of `experiments/formats.py`: one file, or a .zip of several. Raises LabError."""
    from mnist_core.experiments.formats import FORMATS, packed

    folder = run.checkpoint()
    if folder is None:
        raise RunError(f"Run {run.id} has no model yet.")
    files = FORMATS[form].make(folder)
    return packed(files, run.id) if len(files) > 1 else next(iter(files.values()))


def report(records: Sequence[Record], names: Mapping[str, str]) -> bytes:
    """Runs side by side as one HTML file."""
    from mnist_core.experiments.report import report

    return report(records, names)


def import_bundle(content: bytes, name: str) -> Run:
    """A bundle of another lab as a run of this session's owner. Raises LabError."""
    _require()
    from mnist_core.experiments.imports import import_bundle

    with _starting:
        check_limits([])
        return import_bundle(content, owner=current_user(), name=name[:100])


def _collection() -> Collection:
    return Collection(runs_folder() / FOLDER, current_user())


def drawings_path() -> Path:
    """The file of this session's user's drawings, whether there are any."""
    return _collection().path.resolve()


def drawings() -> list[Kept]:
    """What this session's user has drawn and labelled. Raises RunError and DataError."""
    _require()
    return _collection().drawings()


def keep_drawing(label: str, strokes: object, instead_of: str = "") -> tuple[Kept, int]:
    """Keeps a drawing of this session's user → it, and how many there are now. Raises LabError."""
    _require()
    collection = _collection()
    kept = collection.add(label, strokes, instead_of)
    return kept, len(collection.drawings())


def remove_drawing(drawing_id: str) -> None:
    """Deletes a drawing of this session's user. Raises RunError and DataError."""
    _require()
    _collection().remove(drawing_id)


def import_drawings(content: bytes, name: str) -> tuple[int, int]:
    """Adds those of a file → how many were added, and were here already. Raises RunError and DataError."""
    _require()
    return _collection().take(content, name)


def export_drawings() -> bytes:
    """The file of this session's user's drawings. Raises RunError and DataError."""
    _require()
    return _collection().export()


def teach(model: Model) -> Run:
    """A run that teaches a model the drawings of this session's user. Raises LabError."""
    _require()
    from mnist_core.experiments.teach import teach_config

    folder = model.id if model.run is None else model.folder.resolve()
    return start(teach_config(str(folder), drawings_path(), data_folder()))


def fetch(dataset: str) -> Generator[DownloadStep, None, None]:
    """Downloads a dataset, step by step. Raises DataError."""
    _require()
    return download(dataset, data_folder())
