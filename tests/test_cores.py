import json
import os
import subprocess
import sys

import pytest
import torch

from mnist_core.system.device import divide_cores
from mnist_core.system.threads import CHOSEN_BY_A_PERSON, pin_threads_to_cores
from tests.e2e.lab import ROOT

PROGRAM = """
import json, os
from mnist_core.system.threads import keep_threads_apart
keep_threads_apart()
import torch
from mnist_core.system.threads import in_threads
torch.ones(1000, 1000) @ torch.ones(1000, 1000)  # now OpenMP has begun its threads
cores = {task: sorted(os.sched_getaffinity(int(task))) for task in os.listdir("/proc/self/task")}
helper = in_threads(lambda _: sorted(os.sched_getaffinity(0)), [None], 1)[0]
print(json.dumps({"threads": torch.get_num_threads(), "cores": list(cores.values()), "helper": helper}))
"""
several_cores = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="Needs two cores of a system that lets a process choose among them.",
)


@pytest.mark.parametrize(
    ("parallel", "own", "expected"), [("1", None, []), ("2", None, [4]), ("16", None, [1]), ("2", "3", [])]
)
def test_trainings_at_once_divide_the_cores(monkeypatch, parallel, own, expected):
    monkeypatch.setenv("MNIST_LAB_PARALLEL", parallel)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if own:
        monkeypatch.setenv("OMP_NUM_THREADS", own)
    given = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(torch, "set_num_threads", given.append)
    divide_cores()
    assert given == expected


def a_process(**environment):
    """What PROGRAM says of itself, of an environment that says nothing of OpenMP but `environment`."""
    bare = {name: value for name, value in os.environ.items() if name not in CHOSEN_BY_A_PERSON}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(
        command, cwd=ROOT, env={**bare, "MNIST_LAB_PARALLEL": "1", **environment}, stdout=subprocess.PIPE, check=True
    )
    return json.loads(done.stdout)


@several_cores
def test_each_thread_of_a_training_has_a_core_of_its_own_and_helpers_have_all():
    seen = a_process()
    narrow = [tuple(cores) for cores in seen["cores"] if len(cores) < len(os.sched_getaffinity(0))]
    assert len(set(narrow)) == len(narrow) == seen["threads"]
    assert seen["helper"] == sorted(os.sched_getaffinity(0))


@several_cores
@pytest.mark.parametrize(
    "environment", [{"OMP_NUM_THREADS": "2"}, {"OMP_PROC_BIND": "false"}, {"MNIST_LAB_PARALLEL": "2"}]
)
def test_threads_are_left_alone_where_somebody_chose_or_trainings_share(environment):
    everywhere = sorted(os.sched_getaffinity(0))
    assert all(cores == everywhere for cores in a_process(**environment)["cores"])


def test_a_process_that_has_loaded_torch_stays_as_it_is(monkeypatch):
    for name in CHOSEN_BY_A_PERSON:
        monkeypatch.delenv(name, raising=False)
    pin_threads_to_cores()
    assert "OMP_PROC_BIND" not in os.environ
