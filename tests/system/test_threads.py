import json
import os
import subprocess
import sys

import pytest

from mnist_core.system.threads import OPENMP_VARIABLES, map_in_threads, pin_threads_to_cores
from tests.helpers import ROOT

PROGRAM = """
import json, os
from mnist_core.system.threads import pin_threads_to_cores
pin_threads_to_cores()
import torch
from mnist_core.system.threads import map_in_threads
torch.ones(1000, 1000) @ torch.ones(1000, 1000)  # now OpenMP has begun its threads
cores = {task: sorted(os.sched_getaffinity(int(task))) for task in os.listdir("/proc/self/task")}
helper = map_in_threads(lambda _: sorted(os.sched_getaffinity(0)), [None], 1)[0]
print(json.dumps({"threads": torch.get_num_threads(), "cores": list(cores.values()), "helper": helper}))
"""
several_cores = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="Needs two cores of a system that lets a process choose among them.",
)


def a_process(**environment):
    """What PROGRAM says of itself, of an environment that says nothing of OpenMP but `environment`."""
    bare = {name: value for name, value in os.environ.items() if name not in OPENMP_VARIABLES}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(
        command, cwd=ROOT, env={**bare, "MNIST_LAB_PARALLEL": "1", **environment}, stdout=subprocess.PIPE, check=True
    )
    return json.loads(done.stdout)


@several_cores
def test_training_threads_have_a_core_each_and_helpers_all():
    seen = a_process()
    narrow = [tuple(cores) for cores in seen["cores"] if len(cores) < len(os.sched_getaffinity(0))]
    assert len(set(narrow)) == len(narrow) == seen["threads"]
    assert seen["helper"] == sorted(os.sched_getaffinity(0))


@several_cores
@pytest.mark.parametrize(
    "environment", [{"OMP_NUM_THREADS": "2"}, {"OMP_PROC_BIND": "false"}, {"MNIST_LAB_PARALLEL": "2"}]
)
def test_threads_are_not_pinned_when_chosen_or_shared(environment):
    everywhere = sorted(os.sched_getaffinity(0))
    assert all(cores == everywhere for cores in a_process(**environment)["cores"])


def test_a_process_that_has_loaded_torch_stays_as_it_is(monkeypatch):
    for name in OPENMP_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    pin_threads_to_cores()
    assert "OMP_PROC_BIND" not in os.environ


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("count", [0, 1, 64, 1000])
def test_results_are_in_item_order_and_progress_ends_at_one(threads, count):
    shares = []
    assert map_in_threads(lambda n: n * n, range(count), threads, shares.append) == [n * n for n in range(count)]
    assert shares == sorted(shares)
    assert shares[-1:] == ([1.0] if count else [])


def test_the_first_error_in_order_is_raised():
    def check(number):
        if number % 100 == 99:
            raise ValueError(str(number))

    with pytest.raises(ValueError, match=r"^99$"):
        map_in_threads(check, range(1000), 4)
