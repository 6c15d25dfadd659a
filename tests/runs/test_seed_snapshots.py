"""Several runs at one moment: their state, their progress and the mean of their curves."""

import numpy as np
import pytest

from mnist_core.runs.run import Status, create_run
from mnist_core.runs.seed_snapshots import SeedSnapshots, together
from tests.helpers.events import append, end, epoch, start, step
from tests.helpers.studies import BASE


@pytest.fixture
def three():
    """Two epochs measured, one, and one that waits."""
    first, second, third = (create_run(BASE.replace(seed=seed)) for seed in range(3))
    steps = [step(number) for number in range(1, 9)]
    append(first, start(), *steps[:4], epoch(1, accuracy=0.6), *steps[4:], epoch(2, accuracy=0.9), end())
    first.finish("completed")
    append(second, start(), *steps[:4], epoch(1, accuracy=0.8))
    second.set_status("running")
    return [first, second, third]


def test_the_curves_are_means_over_those_that_came_so_far(three, monkeypatch):
    with three[1].lock:
        _, figures, _ = SeedSnapshots(three).take()
    band, line = (trace for trace in figures["accuracy"]["data"] if trace["name"].startswith("validation"))
    assert list(line["x"]) == [1, 2]
    np.testing.assert_allclose(line["y"], [0.7, 0.9])
    spread = np.std([0.6, 0.8], ddof=1)
    np.testing.assert_allclose(band["y"], [0.7 + spread, 0.9, 0.9, 0.7 - spread], atol=1e-5)


def test_the_progress_is_that_of_all_seeds(three):
    with three[1].lock:
        status, _, progress = SeedSnapshots(three).take()
    assert status.state == "running"
    assert progress["share"] == pytest.approx((1 + 0.5 + 0) / 3)
    # of 400 images an epoch at 100 a second: 4 s of this training and 8 s of the one that waits
    assert progress["text"] == "1 of 3 seeds ended · seed 1: epoch 1 of 2 · 12 s left"


def test_figures_are_the_same_until_there_is_more(three):
    snapshots = SeedSnapshots(three)
    _, before, _ = snapshots.take()
    assert snapshots.take()[1] is before
    append(three[1], step(5))
    assert snapshots.take()[1] is not before


@pytest.mark.parametrize(
    ("states", "found"),
    [
        (["completed", "completed"], "completed"),
        (["completed", "stopped"], "stopped"),
        (["completed", "queued", "running"], "running"),
        (["paused", "queued"], "paused"),
        (["failed", "queued"], "queued"),
    ],
)
def test_the_state_is_that_of_those_under_way(states, found):
    assert together([Status(state) for state in states]).state == found


def test_any_change_of_state_is_seen():
    seen = {together([Status("running", stepping=a), Status(b)]).reason for a in (0, 1) for b in ("queued", "paused")}
    assert len(seen) == 4
