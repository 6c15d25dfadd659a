"""The winner of a search with other seeds, and which settings mattered."""

import json

import numpy as np
import pytest

from mnist_core.errors import RunError
from mnist_core.experiments import search_results
from mnist_core.experiments.search import begin_search
from mnist_core.experiments.search_plan import checked_budget, make_plan
from mnist_core.experiments.search_results import importance, last_words, start_workers
from mnist_core.experiments.search_space import parse_range
from mnist_core.experiments.search_winner import read_winner, train_winner
from mnist_core.experiments.seeds import seed_groups
from mnist_core.runs.queue import Queue
from tests.helpers.events import append, end
from tests.helpers.runs import CONFIG
from tests.helpers.searches import told


def test_the_winner_gets_fresh_seeds_and_its_difference_a_name():
    search = told([0.90, 0.97, 0.95], seed=7, runs=True)
    assert read_winner(search) is None
    winner = train_winner(search, "Ada")
    assert read_winner(search) == winner
    assert (winner.number, winner.value, winner.trials) == (1, 0.97, 3)
    runs = winner.runs()
    assert [run.config().seed for run in runs] == [8, 9, 10, 11, 12]
    assert {run.owner for run in runs} == {"Ada"}
    settings = search.best().settings
    assert all(run.config() == search.config(settings).replace(seed=run.config().seed) for run in runs)
    tried = search.best().run
    # the trial, chosen for its luck, is none of the fresh draws
    assert [group.runs for group in seed_groups([tried, *runs])] == [(tried,), tuple(runs)]
    assert all(run.trial is None for run in runs)  # they read the test images as any run does
    assert Queue(search.runs_dir).waiting() == runs
    assert winner.sentence() == ""
    accuracies = [0.96, 0.95, 0.955, 0.965, 0.96]
    for run, accuracy in zip(runs, accuracies, strict=True):
        append(run, {**end(test_accuracy=accuracy - 0.01), "val_accuracy": accuracy})
        run.finish("completed")
    fresh = winner.spread("val_accuracy")
    assert fresh.mean == pytest.approx(np.mean(accuracies))
    assert fresh.std == pytest.approx(np.std(accuracies, ddof=1))
    assert winner.spread("test_accuracy").mean == pytest.approx(np.mean(accuracies) - 0.01)
    assert "97.00 % on validation" in winner.sentence()
    assert "reach 95.80 ± 0.57 %" in winner.sentence()
    assert "1.20 points less. The best of 3 trials is flattered" in winner.sentence()


def test_a_winner_that_was_not_lucky_is_said_so():
    search = told([0.90])
    winner = train_winner(search)
    for run in winner.runs()[:1]:
        append(run, {**end(test_accuracy=0.9), "val_accuracy": 0.93})
        run.finish("completed")
    assert "With 1 fresh seed the same settings reach 93.00 %: 3.00 points more" in winner.sentence()
    (search.folder / "winner.json").write_text(json.dumps({"trial": 1}))
    assert read_winner(search) is None


def test_there_is_no_winner_before_a_trial_has_ended():
    base = CONFIG
    plan = make_plan(base, [parse_range("dropout=0:0.5", base)], "none")
    with pytest.raises(RunError, match="No trial of this search has reached its end"):
        train_winner(begin_search(plan, checked_budget(1, None)))


def test_the_setting_that_decides_is_the_important_one():
    search = told([lambda settings: settings["dropout"]] * 30)
    shares = importance("told", str(search.runs_dir))
    assert list(shares) == ["dropout", "learning_rate"]
    assert shares["dropout"] > 0.9
    assert sum(shares.values()) == pytest.approx(1)


def test_few_or_equal_trials_have_no_importance():
    search = told([0.9, 0.8, 0.7])
    assert importance("told", str(search.runs_dir)) == {}


def test_workers_are_begun_with_names_and_no_storage(monkeypatch, tmp_path):
    search, commands = told([0.9]), []
    monkeypatch.setattr(search_results.subprocess, "Popen", lambda command, **_: commands.append(command))
    start_workers(search, 2, tmp_path)
    assert len(commands) == 2
    assert commands[0][3:7] == ["mnist_core", "search", "--join", "told"]
    assert not [word for word in commands[0] if "://" in word]
    with pytest.raises(RunError, match="1 to 16 processes"):
        start_workers(search, 0, tmp_path)


def test_the_last_word_of_a_process_that_failed_is_found():
    search = told([0.9])
    assert last_words(search) == ""
    log = search.folder / "worker.log"
    log.write_text("search told: another\ntrial 0: fine\nfailed: No room. Really.\n")
    assert last_words(search) == "No room. Really."
    log.write_text(log.read_text() + "search told: another process joins it\n")
    assert last_words(search) == ""
