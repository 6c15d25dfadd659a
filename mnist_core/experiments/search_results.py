"""What a search found out about its settings, and the processes that carry it on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from mnist_core.errors import RunError
from mnist_core.experiments.search import Search, open_search
from mnist_core.system.resources import child_environment

FEWEST_TRIALS = 4  # of which an importance can be said
MOST_WORKERS = 16


def importance(name: str, runs_dir: str) -> dict[str, float]:
    """How much of the variance of the validation accuracy each setting explains, in [0, 1], the largest first.

    By functional ANOVA over a random forest (F. Hutter et al., An efficient approach for assessing hyperparameter
    importance, 2014) of all trials that ended or were pruned, these by the last validation that they had. Empty for
    fewer than FEWEST_TRIALS, or where all are equal. Raises LabError.
    """
    import optuna

    search = open_search(name, runs_dir)
    states = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
    known = [found for found in search.study.get_trials(False, states) if found.value is not None]
    if len(known) < FEWEST_TRIALS or len({found.value for found in known}) < 2:
        return {}
    study = optuna.create_study(direction="maximize")
    study.add_trials(
        [
            optuna.create_trial(params=found.params, distributions=found.distributions, value=found.value)
            for found in known
        ]
    )
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    return dict(optuna.importance.get_param_importances(study, evaluator=evaluator))


def start_workers(search: Search, count: int, data_dir: Path) -> None:
    """Starts so many processes that work on the search until its end, whatever becomes of this one. Raises RunError."""
    if not 1 <= count <= MOST_WORKERS:
        raise RunError(f"1 to {MOST_WORKERS} processes work on a search, not {count}.")
    command = [sys.executable, "-P", "-m", "mnist_core", "search", "--join", search.plan.name, "--background"]
    folders = ["--runs-dir", str(search.runs_dir.resolve()), "--data-dir", str(data_dir.resolve())]
    try:
        with (search.folder / "worker.log").open("ab") as log:
            for _ in range(count):
                subprocess.Popen(
                    [*command, *folders],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=child_environment(),
                    start_new_session=os.name != "nt",
                )
    except OSError as error:
        raise RunError(f"No process can be started for the search ({error.strerror}).") from None


def last_words(search: Search) -> str:
    """Why the last process ended that failed; empty where none did."""
    try:
        lines = (search.folder / "worker.log").read_text(errors="replace")[-20_000:].splitlines()
    except OSError:
        return ""
    said = next((line for line in reversed(lines) if line.startswith(("failed: ", "error: ", "search "))), "")
    return said.partition(": ")[2] if said.startswith(("failed: ", "error: ")) else ""
