"""What a process of a search does: it takes trials, carries each out as a run, and tells how it ended.

Killed at any instant it loses nothing: on the same machine the next process finds the trial's lock free and goes on
with its run; of another machine's the database hears nothing for a minute and has its settings tried again.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from mnist_core.errors import LabError, RunError, RunFailedError
from mnist_core.experiments.search import STOPPED, Search
from mnist_core.experiments.search_plan import check_agreement, sampler
from mnist_core.experiments.search_storage import (
    GRACE_SECONDS,
    HEARTBEAT_SECONDS,
    LONGEST_PAUSE,
    insist,
    is_outage,
)
from mnist_core.runs.execute import execute
from mnist_core.runs.history import EventReader, latest
from mnist_core.runs.limits import check_limits
from mnist_core.runs.run import Run, create_run, list_runs, open_run
from mnist_core.runs.writer import log
from mnist_core.training.events import Event

if TYPE_CHECKING:
    import optuna

POLL_SECONDS = 0.5
SETTLE_SECONDS = 2.0  # that a training waits for the storage's word after a validation, while it can be reached
MOST_FAILURES = 3  # trials in a row that failed
MOST_DEATHS = 25  # processes in a row that died training a trial before its next validation: out of memory, say
ELSEWHERE = "The search has given this trial away: nothing was heard of it for too long."
Say = Callable[[str], None]


@dataclass
class Taken:
    """A trial that this process carries out; it is let go with the process."""

    trial: optuna.Trial
    lock: FileLock


@dataclass(frozen=True)
class Outcome:
    """How a trial ended: `state` is a name of Optuna's, `value` its validation accuracy in [0, 1] if completed."""

    state: str
    value: float | None = None
    why: str = ""

    @property
    def sentence(self) -> str:
        """For people: `validation accuracy 0.9731`, or why there is none."""
        return f"validation accuracy {self.value:.4f}." if self.value is not None else self.why


def work(search: Search, data_dir: Path | str | None = None, say: Say = lambda sentence: None) -> None:
    """Carries out trials until the search's budget is used or it is stopped, and waits for those of others.

    Raises RunFailedError where trials fail one after another, StorageError where the storage stays away.
    """
    failures = 0
    with search.worker():
        while True:
            taken = insist(lambda: take(search))
            if taken is None:
                if not insist(lambda: _others_at_work(search)):
                    return
                time.sleep(POLL_SECONDS)
                continue
            try:
                outcome = _carry_out(search, taken.trial, data_dir)
            finally:
                taken.lock.release()
            if outcome is not None:  # nobody asks for it any more
                Path(taken.lock.lock_file).unlink(missing_ok=True)
            if outcome is None:
                continue  # stopped with the search, or given away
            say(f"trial {taken.trial.number}: {outcome.sentence}")
            failures = failures + 1 if outcome.state == "FAIL" else 0
            if failures >= MOST_FAILURES:
                raise RunFailedError(f"{failures} trials in a row failed, the last with: {outcome.why}")


def _others_at_work(search: Search) -> bool:
    """Whether to wait for trials that others carry out, since this process would take them up."""
    if search.stopped:
        return False
    shared = hasattr(search.storage, "record_heartbeat")  # else nothing tells whether another machine is alive
    return any(
        tried.state in ("running", "interrupted") and (shared or not tried.elsewhere) for tried in search.trials()
    )


# ---- taking ---------------------------------------------------------------------------------------------------------


def take(search: Search) -> Taken | None:
    """A trial whose process has died, else a new one; None where there is none to carry out just now."""
    import optuna

    with search.scheduling:
        check_agreement(search.plan, search.study)
        if search.stopped:
            return None
        if (found := _orphan(search)) is not None:
            return found
        optuna.storages.fail_stale_trials(search.study)
        if search.over():
            return None
        check_limits([], search.runs_dir)
        trial = search.study.ask()
        lock = search.trial_lock(trial.number)
        lock.acquire(timeout=5)  # a page may be looking whether somebody holds it
        _beat(search, trial)
        trial.set_user_attr("place", search.place)
        if _surplus(search, trial.number):
            trial.set_user_attr("surplus", True)
            search.study.tell(trial, state=optuna.trial.TrialState.FAIL)
            lock.release()
            return None
        return Taken(trial, lock)


def _surplus(search: Search, number: int) -> bool:
    """Whether as many trials as the budget has were begun before this one: two machines may ask at once."""
    import optuna

    states = optuna.trial.TrialState
    most = search.budget.trials
    before = search.study.get_trials(False, (states.COMPLETE, states.PRUNED, states.RUNNING))
    return most is not None and sum(found.number < number for found in before) >= most


def _orphan(search: Search) -> Taken | None:
    """The first trial under way whose process, on this machine, has died."""
    import optuna

    for found in search.study.get_trials(False, (optuna.trial.TrialState.RUNNING,)):
        place = found.user_attrs.get("place")
        if place is None:  # its process died just after it had asked, unless that was this moment
            age = time.time() - found.datetime_start.timestamp() if found.datetime_start else 0.0
            if age > GRACE_SECONDS / (1 if hasattr(search.storage, "record_heartbeat") else 6):
                _tell(search, found.number, Outcome("FAIL", why="Its process died before it began."))
            continue
        if place != search.place:
            continue
        lock = search.trial_lock(found.number)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        if _frozen(search.study, found.number).state.is_finished():  # told meanwhile
            lock.release()
            continue
        trial = optuna.Trial(search.study, found._trial_id)
        _beat(search, trial)
        return Taken(trial, lock)
    return None


def _beat(search: Search, trial: optuna.Trial) -> None:
    if hasattr(search.storage, "record_heartbeat"):
        search.storage.record_heartbeat(trial._trial_id)


# ---- carrying out ---------------------------------------------------------------------------------------------------


def _carry_out(search: Search, trial: optuna.Trial, data_dir: Path | str | None) -> Outcome | None:
    """The trial's run to its end; None where the trial is not over: stopped with the search, or given away."""
    trial.study.sampler = sampler(search.plan, trial.number)
    settings = insist(lambda: {found.field: found.suggest(trial) for found in search.plan.ranges})
    run = insist(lambda: _run_of(search, trial, settings))
    died = insist(lambda: _deaths(trial, run))
    if died >= MOST_DEATHS:
        dead = Outcome("FAIL", why=f"Its process died {died} times before the next validation.")
        return dead if insist(lambda: _tell(search, trial.number, dead)) else None
    with Reporter(search, trial, run) as reporter:
        while (outcome := outcome_of(run, trial.user_attrs)) is None and not reporter.given_away:
            if search_stopped(run):
                if insist(lambda: search.stopped):
                    return None
                run.command("run")
            execute(run, data_dir, reporter.event)
            while run.is_executed():  # by another process: somebody has resumed it by hand
                time.sleep(POLL_SECONDS)
            if search_stopped(run):
                return None
        if outcome is None or not insist(reporter.flush):
            return None
    return outcome if insist(lambda: _tell(search, trial.number, outcome)) else None


def _deaths(trial: optuna.Trial, run: Run) -> int:
    """How many processes in a row have died training the trial before its next validation, the last one included."""
    if run.status().state != "crashed":  # it was killed while it waited for a slot, or not at all
        return 0
    seen = len(_frozen(trial.study, trial.number).intermediate_values)
    before, count = trial.user_attrs.get("died", (seen, 0))
    count = int(count) + 1 if before == seen else 1
    trial.set_user_attr("died", [seen, count])
    return count


def _run_of(search: Search, trial: optuna.Trial, settings: dict[str, Any]) -> Run:
    """The trial's run on this machine, made where there is none."""
    mark = (search.plan.name, trial.number)
    try:
        return open_run(str(trial.user_attrs.get("run", "")), search.runs_dir)
    except RunError:
        pass
    # a process may have died between the two lines that make it and note it
    run = next((run for run in list_runs(search.runs_dir) if run.trial == mark), None)
    if run is None:
        run = create_run(search.config(settings), search.runs_dir, search.plan.owner, trial=mark)
    trial.set_user_attr("run", run.id)
    trial.set_user_attr("run_dir", str(run.folder.resolve()))
    return run


def search_stopped(run: Run) -> bool:
    """Whether the run was stopped because its search was: it goes on with it."""
    control = run.control()
    return control.command == "stop" and control.reason == STOPPED and not run.status().active


def outcome_of(run: Run, attrs: dict[str, Any]) -> Outcome | None:
    """How the trial of `run` ended, by the run's own files; None where it has not."""
    status = run.status()
    if status.active or status.state == "crashed" or search_stopped(run):
        return None
    events = EventReader(run).read()
    if status.state == "completed":
        value = latest(events, "end", "val_accuracy")
        if value is not None:
            return Outcome("COMPLETE", float(value))
        return Outcome("FAIL", why=f"Run {run.id} ended without a validation.")
    # a loss that is no number is an answer about the settings, and so is what was pruned or stopped half way
    diverged = status.state == "failed" and latest(events, "end", "reason") == "failed"
    measured = latest(events, "epoch", "val_accuracy") is not None or latest(events, "validation", "val_accuracy")
    if diverged or (status.state == "stopped" and measured):
        return Outcome("PRUNED", why=str(attrs.get("pruned") or status.reason))
    return Outcome("FAIL", why=status.reason)


def _frozen(study: optuna.Study, number: int) -> optuna.trial.FrozenTrial:
    return next(found for found in study.get_trials(False) if found.number == number)


def _tell(search: Search, number: int, outcome: Outcome) -> bool:
    """Tells the storage how the trial ended; whether it was still this process's to tell."""
    import optuna

    frozen = _frozen(search.study, number)
    if frozen.state.is_finished():  # told already, just before the storage went away, or given to another machine
        return frozen.state.name == outcome.state
    try:
        if outcome.why:
            search.storage.set_trial_user_attr(frozen._trial_id, "why", outcome.why[:500])
        search.study.tell(number, outcome.value, optuna.trial.TrialState[outcome.state])
    except (ValueError, optuna.exceptions.UpdateFinishedTrialError):
        return False
    return True


class Reporter:
    """Tells the storage what a run measures, and the run when it is to be pruned or stopped, in a thread of its own:
    a training never waits long for a storage, nor loses what could not be told while it was away."""

    def __init__(self, search: Search, trial: optuna.Trial, run: Run) -> None:
        self._search, self._trial, self._run = search, trial, run
        self._config = run.config()
        self._per_epoch = 1
        self._untold: list[tuple[int, float]] = []
        self._told = set(_frozen(search.study, trial.number).intermediate_values)
        self._lock, self._flushing = threading.Lock(), threading.Lock()
        self._wake, self._settled, self._closed = threading.Event(), threading.Event(), threading.Event()
        self._away = False
        self.given_away = False
        self._thread = threading.Thread(target=self._work, daemon=True)
        for event in EventReader(run).read():  # what an earlier process could not tell any more
            self._take(event)

    def __enter__(self) -> Reporter:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._wake.set()
        self._thread.join(timeout=5)

    def event(self, event: Event) -> None:
        """Takes an event of the run; after a validation it waits a moment for the storage's word."""
        if self._take(event):
            self._wake.set()
            if not self._away:
                self._settled.wait(SETTLE_SECONDS)

    def _take(self, event: Event) -> bool:
        """Whether that is something to tell."""
        if event["event"] == "start":
            self._per_epoch = event["steps_per_epoch"]
        if event["event"] != "validation" and event["event"] != "epoch":
            return False
        # counted in validations, so that trials with other batch sizes are compared at the same share
        place = max(1, round(event["step"] / self._per_epoch * self._config.validations_per_epoch))
        with self._lock:
            self._untold.append((place, event["val_accuracy"]))
            self._settled.clear()
        return True

    def flush(self) -> bool:
        """Tells all that is untold; whether the trial is still this process's. Raises as the storage does."""
        import optuna

        with self._flushing:
            with self._lock:
                waiting = list(self._untold)
            try:
                _beat(self._search, self._trial)
                for place, value in waiting:
                    if place not in self._told:  # it happens again in a run that was resumed
                        self._trial.report(value, place)
                        self._told.add(place)
            except (optuna.exceptions.UpdateFinishedTrialError, RuntimeError):
                self.given_away = True
                self._run.command("stop", ELSEWHERE)
                return False
            with self._lock:
                del self._untold[: len(waiting)]
            if waiting:
                self._prune(*waiting[-1])
            return True

    def _prune(self, place: int, value: float) -> None:
        parts = self._config.validations_per_epoch
        if place >= self._config.epochs * parts or "pruned" in self._trial.user_attrs or not self._trial.should_prune():
            return
        epochs = f"{place / parts:.3g}".rstrip(".")
        why = f"Pruned after epoch {epochs}: its validation accuracy of {value:.4f} was below that of other trials."
        self._trial.set_user_attr("pruned", why)
        self._run.command("stop", why)

    def _work(self) -> None:
        pause = 0.5
        while not self._closed.is_set():
            try:
                known = self.flush()
                if known and self._search.stopped and self._run.control().command != "stop":
                    self._run.command("stop", STOPPED)
                self._away, pause = False, 0.5
            except LabError:
                pass  # the run's folder cannot be written just now; its own process says so
            except Exception as error:
                if not is_outage(error):
                    log(traceback.format_exc())
                self._away, pause = True, min(2 * pause, LONGEST_PAUSE)
            self._settled.set()
            if self.given_away:
                return
            self._wake.wait(pause if self._away else HEARTBEAT_SECONDS)
            self._wake.clear()
