"""A search: settings within ranges, tried by Optuna as ordinary runs and judged on validation alone.

Trials are kept in a journal in the runs folder, or in a database that machines share (search_storage.py). The same
search may be worked on by any number of processes (search_work.py).
"""

from __future__ import annotations

import contextlib
import math
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout
from pydantic import TypeAdapter, ValidationError

from mnist_core.config import TrainConfig
from mnist_core.errors import ConfigError, LabError, RunError
from mnist_core.experiments.search_plan import Budget, Plan, check_agreement, checked_budget, plan_from_json, pruner
from mnist_core.experiments.search_storage import (
    StorageError,
    cause,
    is_outage,
    is_url,
    open_storage,
    without_password,
)
from mnist_core.runs.run import Run, is_run_id, open_run
from mnist_core.system.files import read_json, write_json
from mnist_core.system.settings import runs_folder, study_storage

if TYPE_CHECKING:
    import optuna

SEARCHES_FOLDER = ".searches"
STOPPED = "Stopped with its search."
_FILE, _JOURNAL = "search.json", "journal.jsonl"


@dataclass(frozen=True)
class Tried:
    """A trial as it stands. `state`: waiting, running, interrupted, completed, pruned or failed; `value` is the
    validation accuracy in [0, 1], None where there is none yet; `seconds` are of the clock.

    `curve` has the validation accuracies that were reported, by validation from 1. `run` is None where it is on another
    machine or was deleted, `run_dir` where it was made. `elsewhere` is whether another machine carries it out.
    """

    number: int
    state: str
    value: float | None
    settings: dict[str, Any]
    run: Run | None
    run_dir: str
    why: str
    began: float
    seconds: float | None
    curve: dict[int, float]
    elsewhere: bool

    @property
    def counted(self) -> bool:
        """Whether it is one of the trials of the budget that have ended."""
        return self.state in ("completed", "pruned")


class Search:
    """A search that is open. Thread-safe as Optuna's storages are."""

    def __init__(
        self, plan: Plan, study: optuna.Study, storage: optuna.storages.BaseStorage, runs_dir: Path, where: str
    ) -> None:
        self.plan, self.study, self.storage, self.runs_dir = plan, study, storage, runs_dir
        self.where = without_password(where)
        self.folder = runs_dir / SEARCHES_FOLDER / plan.name

    @property
    def budget(self) -> Budget:
        """The latest one that somebody gave."""
        found = self.study.user_attrs.get("budget", {})
        return Budget(found.get("trials"), found.get("deadline"))

    def set_budget(self, budget: Budget) -> None:
        """Lets the search go on until then."""
        self.study.set_user_attr("budget", {"trials": budget.trials, "deadline": budget.deadline})

    @property
    def stopped(self) -> bool:
        """Whether somebody has stopped the search."""
        return self.study.user_attrs.get("stopped") is True

    def go_on(self) -> None:
        """Takes a stop back."""
        if self.stopped:
            self.study.set_user_attr("stopped", False)

    def stop(self) -> None:
        """Ends the search: no trial begins any more, and the runs of those under way are told to stop. They go on
        where they stood when the search does."""
        self.study.set_user_attr("stopped", True)
        for tried in self.trials():
            if tried.state == "running" and tried.run is not None:
                tried.run.command("stop", STOPPED)

    def over(self) -> bool:
        """Whether no trial is to begin any more."""
        budget = self.budget
        if self.stopped or (budget.deadline is not None and time.time() >= budget.deadline):
            return True
        import optuna

        counted = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED, optuna.trial.TrialState.RUNNING)
        return budget.trials is not None and len(self.study.get_trials(False, counted)) >= budget.trials

    def trials(self) -> list[Tried]:
        """All trials in the order in which they were begun, but those that were given up as more than the budget."""
        return [self._tried(found) for found in self.study.get_trials(False) if "surplus" not in found.user_attrs]

    def _tried(self, found: optuna.trial.FrozenTrial) -> Tried:
        state = {"COMPLETE": "completed", "FAIL": "failed"}.get(found.state.name, found.state.name.lower())
        attrs = found.user_attrs
        here = attrs.get("place") == self.place
        run = None
        if here and "run" in attrs:
            with contextlib.suppress(RunError):
                run = open_run(attrs["run"], self.runs_dir)
        if state == "running" and here and not self.held(found.number):
            state = "interrupted"
        settings = found.params or dict(found.system_attrs.get("fixed_params", {}))
        ended = found.datetime_complete
        began = found.datetime_start.timestamp() if found.datetime_start else math.nan
        return Tried(
            found.number,
            state,
            found.value if found.value is not None else next(reversed(found.intermediate_values.values()), None),
            {one.field: settings[one.field] for one in self.plan.ranges if one.field in settings},
            run,
            attrs.get("run_dir", ""),
            attrs.get("why", ""),
            began,
            ended.timestamp() - began if ended else None,
            dict(sorted(found.intermediate_values.items())),
            not here and "place" in attrs,
        )

    def best(self) -> Tried | None:
        """The completed trial of the highest validation accuracy, the first of equals."""
        completed = [tried for tried in self.trials() if tried.state == "completed" and tried.value is not None]
        return max(completed, key=lambda tried: (tried.value, -tried.number), default=None)

    def config(self, settings: dict[str, Any]) -> TrainConfig:
        """The settings of a trial. Raises ConfigError."""
        return self.plan.base.replace(**settings)

    # ---- what processes on this machine share ------------------------------------------------------------------------

    @cached_property
    def place(self) -> str:
        """Tells this runs folder from those of other machines that work on the same search."""
        return str(read_json(self.folder / _FILE)["place"])

    @property
    def scheduling(self) -> FileLock:
        """Held by the process that takes a trial."""
        return FileLock(self.folder / "take.lock")

    def trial_lock(self, number: int) -> FileLock:
        """Held by the process that carries out the trial, for as long as it lives."""
        return FileLock(self.folder / f"trial-{number}.lock")

    def held(self, number: int) -> bool:
        """Whether a living process carries the trial out."""
        return is_held(self.folder / f"trial-{number}.lock")

    @contextlib.contextmanager
    def worker(self) -> Iterator[None]:
        """Around the work of a process: it counts among `workers` as long as it lives."""
        path = self.folder / f"worker-{os.getpid()}.lock"
        try:
            with FileLock(path):
                yield
        finally:
            path.unlink(missing_ok=True)

    def workers(self) -> list[int]:
        """The process ids of those that work on the search on this machine."""
        found = []
        for path in sorted(self.folder.glob("worker-*.lock")):
            if is_held(path):
                found.append(int(path.stem.rpartition("-")[2]))
            else:  # of a process that was killed
                path.unlink(missing_ok=True)
        return found


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock at `path`."""
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # a read-only folder: nobody can work in it
        return False


# ---- making, joining and finding ------------------------------------------------------------------------------------


def begin_search(
    plan: Plan, budget: Budget | None, runs_dir: Path | str | None = None, storage: str | None = None
) -> Search:
    """Makes the search, or joins it where there is one of that name. A `budget` of None leaves that of the search.

    Without a `storage` it is MNIST_LAB_STUDY, else a journal in the runs folder. Raises ConfigError where the search of
    that name is another one, StorageError, or RunError.
    """
    root = Path(runs_dir if runs_dir is not None else runs_folder())
    storage = _resolved(storage)
    folder = _make_folder(root, plan)
    opened = open_storage(storage or str(folder / _JOURNAL))
    with storage_sentences(storage):
        import optuna

        study = optuna.create_study(
            storage=opened, study_name=plan.name, direction="maximize", load_if_exists=True, pruner=pruner(plan)
        )
        if "search" not in study.user_attrs and not study.get_trials(False):
            study.set_user_attr("search", plan.to_json())
        check_agreement(plan, study)
        _keep(folder, plan, storage)
        search = Search(plan, study, opened, root, storage)
        if budget is not None or "budget" not in study.user_attrs:
            search.set_budget(budget or checked_budget(None, None))
        return search


def _resolved(storage: str | None) -> str:
    """The storage to use, "" for the journal in the runs folder."""
    storage = storage or study_storage()
    return str(Path(storage).resolve()) if storage and not is_url(storage) else storage


def open_search(name: str, runs_dir: Path | str | None = None, given: str = "") -> Search:
    """The search of that name, which this machine has begun or joined. Raises LabError.

    The password of its storage, which is not kept, is that of the storage `given`, or of MNIST_LAB_STUDY.
    """
    root = Path(runs_dir if runs_dir is not None else runs_folder())
    kept = _kept(name, root)
    plan, storage = plan_from_json(name, kept.get("plan")), str(kept.get("storage", ""))
    given = given or study_storage()
    if storage == without_password(given):
        storage = given
    opened = open_storage(storage or str(root / SEARCHES_FOLDER / name / _JOURNAL))
    with storage_sentences(storage):
        import optuna

        try:
            study = optuna.load_study(storage=opened, study_name=name, pruner=pruner(plan))
        except KeyError:
            raise RunError(f"The storage of the search {name} knows it no more.") from None
        return Search(plan, study, opened, root, storage)


def join_search(name: str, runs_dir: Path | str | None = None, storage: str | None = None) -> Search:
    """The search of that name as its storage has it, on a machine that need not know its ranges. Raises LabError."""
    root = Path(runs_dir if runs_dir is not None else runs_folder())
    storage = _resolved(storage)
    if (root / SEARCHES_FOLDER / name / _FILE).is_file() or not storage:
        return open_search(name, root, storage)
    opened = open_storage(storage)
    with storage_sentences(storage):
        import optuna

        try:
            study = optuna.load_study(storage=opened, study_name=name)
        except KeyError:
            raise RunError(f"There is no search '{name[:80]}' in {without_password(storage)}.") from None
        plan = plan_from_json(name, study.user_attrs.get("search"))
    return begin_search(plan, None, root, storage)


def list_searches(runs_dir: Path | str | None = None) -> list[Plan]:
    """The plans of the searches that this machine has begun or joined, the newest first."""
    root = Path(runs_dir if runs_dir is not None else runs_folder())
    found = []
    for path in (root / SEARCHES_FOLDER).glob(f"*/{_FILE}"):
        with contextlib.suppress(LabError, OSError):
            kept = _kept(path.parent.name, root)
            found.append((float(kept.get("began", 0)), plan_from_json(path.parent.name, kept.get("plan"))))
    return [plan for _, plan in sorted(found, key=lambda pair: pair[0], reverse=True)]


def _kept(name: str, root: Path) -> dict[str, Any]:
    if not is_run_id(name):
        raise RunError(f"There is no search '{name[:80]}'.")
    try:
        value = read_json(root / SEARCHES_FOLDER / name / _FILE)
        return TypeAdapter(dict[str, Any]).validate_python(value)
    except (OSError, ValueError, ValidationError):
        raise RunError(f"There is no search '{name[:80]}' in {root.resolve()}, or its file is damaged.") from None


def _make_folder(root: Path, plan: Plan) -> Path:
    folder = root / SEARCHES_FOLDER / plan.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"The search cannot be written to {root.resolve()} ({error.strerror}).") from None
    return folder


def _keep(folder: Path, plan: Plan, storage: str) -> None:
    """Writes what this machine has to know of the search, unless it does."""
    kept = {
        "plan": plan.to_json(),
        "storage": without_password(storage),
        "place": secrets.token_hex(8),
        "began": time.time(),
    }
    try:
        with FileLock(folder / "take.lock"):
            if not (folder / _FILE).exists():
                write_json(folder / _FILE, kept)
            elif read_json(folder / _FILE).get("storage") != kept["storage"]:
                raise ConfigError(f"The search {plan.name} is kept elsewhere: give the same storage, or another name.")
    except (OSError, ValueError, AttributeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "a file is damaged"
        raise RunError(f"The search cannot be written to {folder.resolve()} ({reason}).") from None


@contextlib.contextmanager
def storage_sentences(storage: str) -> Iterator[None]:
    """Around work with a storage: that it cannot be reached is a StorageError."""
    try:
        yield
    except LabError:
        raise
    except Exception as error:
        if not is_outage(error):
            raise
        where = without_password(storage) or "in its journal"
        raise StorageError(f"The search's storage {where} cannot be reached: {cause(error)}") from None
