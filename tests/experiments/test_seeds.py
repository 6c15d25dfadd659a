"""Runs that differ by seed alone: made, found, and their figures against numpy and scipy."""

import math

import numpy as np
import pytest
from scipy import stats

from mnist_core.errors import ConfigError, RunError
from mnist_core.experiments.seeds import (
    create_runs,
    create_seed_runs,
    final_metric,
    group_of,
    next_seeds,
    seed_groups,
    spread,
)
from mnist_core.runs import run as runs_module
from mnist_core.runs.queue import Queue
from mnist_core.runs.run import create_run, list_runs
from mnist_core.system.settings import runs_folder
from tests.helpers.events import append, change, end, epoch, start, step
from tests.helpers.studies import BASE, finish, write

VALUES = [0.981, 0.984, 0.979, 0.990]


# ---- figures --------------------------------------------------------------------------------------------------------


def test_a_spread_is_numpys_and_scipys():
    found = spread(VALUES)
    assert found.mean == pytest.approx(np.mean(VALUES))
    assert found.std == pytest.approx(np.std(VALUES, ddof=1))
    low, high = stats.t.interval(0.95, 3, np.mean(VALUES), stats.sem(VALUES))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.text(percent=True) == "98.35 ± 0.48 %"
    assert found.interval(percent=True) == f"{100 * low:.2f}–{100 * high:.2f}"
    assert found.text() == "0.9835 ± 0.0048"


def test_one_value_has_no_spread_and_none_is_a_dash():
    one, none = spread([0.5]), spread([])
    assert (one.mean, one.text(True), one.interval()) == (0.5, "50.00 %", "")
    assert math.isnan(one.std)
    assert math.isnan(none.mean)
    assert (none.text(), none.interval()) == ("–", "")


# ---- making ---------------------------------------------------------------------------------------------------------


def test_runs_of_several_seeds_are_queued_in_order():
    made = create_seed_runs(BASE, [4, 2, 9], owner="Ada")
    assert [run.config() for run in made] == [BASE.replace(seed=seed) for seed in (4, 2, 9)]
    assert Queue(runs_folder()).waiting() == made
    assert {run.owner for run in made} == {"Ada"}


def test_seeds_go_on_at_nought_behind_the_highest():
    assert next_seeds(3, 3) == [3, 4, 5]
    assert next_seeds(2**31 - 2, 4) == [2**31 - 2, 2**31 - 1, 0, 1]


@pytest.mark.parametrize("seeds", [[], [1, 1], [-1], [2**31]])
def test_wrong_seeds_are_refused_and_leave_nothing(seeds):
    with pytest.raises(ConfigError, match="seed"):
        create_seed_runs(BASE, seeds)
    assert list_runs() == []


def test_five_seeds_count_as_five_runs(monkeypatch):
    monkeypatch.setenv("MNIST_LAB_MAX_QUEUE", "3")  # beside the one that trains
    with pytest.raises(RunError, match="no room for 5 runs"):
        create_seed_runs(BASE, range(5))
    assert list_runs() == []
    assert len(create_seed_runs(BASE, range(4))) == 4


def test_a_disk_that_fills_up_leaves_no_half_of_the_runs(monkeypatch):
    written = []

    def full(path, value):
        written.append(path)
        if len(written) > 5:
            raise OSError(28, "No space left on device")
        original(path, value)

    original = runs_module.write_json
    monkeypatch.setattr(runs_module, "write_json", full)
    with pytest.raises(RunError):
        create_runs([BASE.replace(seed=seed) for seed in range(4)])
    assert list_runs() == []


# ---- finding --------------------------------------------------------------------------------------------------------


def ended(test_accuracy: float, **settings):
    run = create_run(BASE.replace(**settings))
    finish(run, 0.3, test_accuracy)
    return run


def test_runs_that_differ_by_seed_alone_are_a_group():
    alike = [ended(value, seed=seed) for seed, value in enumerate(VALUES)]
    other, teach = ended(0.5, seed=9, dropout=0.5), ended(0.5, seed=9, dataset="mnist")
    found = seed_groups([alike[0], other, *alike[1:], teach])
    assert [group.runs for group in found] == [tuple(alike), (other,), (teach,)]
    assert found[0].seeds == (0, 1, 2, 3)
    assert [group.several for group in found] == [True, False, False]
    assert found[0].spread("test_accuracy").values == tuple(VALUES)
    assert group_of(alike[2], alike) == found[0]


def test_a_repeated_seed_is_no_further_draw():
    first, again, second = ended(0.9, seed=1), ended(0.9, seed=1), ended(0.8, seed=2)
    again.finish("stopped")
    (group,) = seed_groups([again, first, second])
    assert group.runs == (again, first, second)
    assert group.counted == (first, second)
    assert not seed_groups([first, again])[0].several


def test_changes_on_the_way_set_runs_apart():
    plain, changed, alike, later = (create_run(BASE.replace(seed=seed)) for seed in range(4))
    for run, made in ((plain, []), (changed, [change(3)]), (alike, [change(3)]), (later, [change(4)])):
        write(run, [start(), step(1), *made, epoch(1), end(test_accuracy=0.9)])
    assert [group.runs for group in seed_groups([plain, changed, alike, later])] == [
        (plain,),
        (changed, alike),
        (later,),
    ]


def test_a_change_that_is_made_meanwhile_is_seen():
    one, two = create_run(BASE), create_run(BASE.replace(seed=1))
    append(one, start())
    assert len(seed_groups([one, two])) == 1
    append(one, change(1))
    assert len(seed_groups([one, two])) == 2


def test_damaged_runs_are_alone():
    broken = [create_run(BASE.replace(seed=seed)) for seed in range(2)]
    for run in broken:
        run.config_path.write_text("{")
    assert [group.runs for group in seed_groups(broken)] == [(broken[0],), (broken[1],)]


def test_only_completed_runs_have_final_figures():
    run = create_run(BASE)
    assert final_metric(run, "test_accuracy") is None
    finish(run, 0.3, 0.9)
    assert final_metric(run, "test_accuracy") == 0.9
    assert final_metric(run, "test_loss") is None
    run.finish("stopped")
    assert final_metric(run, "test_accuracy") is None
