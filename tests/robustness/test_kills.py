"""The saved state: found whole or not at all, never executed; and a run that is killed at any instant and goes on.

A process of the `forkserver` has everything imported and has computed nothing, so that each life of a run costs a fork.
"""

import contextlib
import hashlib
import io
import multiprocessing
import os
import pickle
import random
import signal
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mnist_core.errors import CheckpointError
from mnist_core.models.checkpoint import is_whole, read_card
from mnist_core.runs import execute as execution
from mnist_core.runs.execute import execute
from mnist_core.runs.history import EventReader
from mnist_core.runs.queue import Queue
from mnist_core.runs.run import Run, create_run
from mnist_core.training.resume import PREVIOUS, RESUME, can_resume, load_resume, read_resume, restore, save_resume
from mnist_core.training.state import TrainState
from tests.helpers import ROOT, flipped, until
from tests.helpers.runs import RESUMABLE, Evil, timeless

SEED = 20261124
RANDOM_KILLS = 24
MAY_BE = ("queued", "crashed", "completed")  # of a run just killed; queued for some seconds, before its first write
# what a life needs
IMPORTS = ("sklearn.datasets", "sklearn.model_selection", "torch._dynamo", "mnist_core.runs.checkpointing")


# ---- the file -------------------------------------------------------------------------------------------------------


def test_a_state_is_read_back_and_the_previous_one_kept(tmp_path):
    state = {
        "weights": torch.rand(3),
        "position": [1, 2],
        "config": {"a": 1.5, "b": None},
        "rng": torch.get_rng_state(),
    }
    assert not can_resume(tmp_path)
    save_resume(tmp_path, {"older": 1})
    save_resume(tmp_path, state)
    loaded, note = load_resume(tmp_path)
    assert torch.equal(loaded.pop("weights"), state.pop("weights"))
    assert torch.equal(loaded.pop("rng"), state.pop("rng"))
    assert (loaded, note) == (state, "")
    assert read_resume(tmp_path / PREVIOUS) == {"older": 1}
    assert can_resume(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([RESUME, PREVIOUS])


def test_the_file_begins_with_the_sum_of_the_rest(tmp_path):
    save_resume(tmp_path, {"a": 1})
    line, content = (tmp_path / RESUME).read_bytes().split(b"\n", 1)
    assert line.decode().split()[-1] == hashlib.sha256(content).hexdigest()
    assert torch.load(io.BytesIO(content), weights_only=True) == {"a": 1}


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "a bit of the tensors": lambda content: flipped(content, len(content) // 2),
    "a bit of the sum": lambda content: flipped(content, 40),
    "longer": lambda content: content + b"\0",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_state_is_replaced_by_the_previous_one(tmp_path, damage):
    for number in (1, 2):
        save_resume(tmp_path, {"number": number, "weights": torch.rand(1000)})
    (tmp_path / RESUME).write_bytes(DAMAGES[damage]((tmp_path / RESUME).read_bytes()))
    with pytest.raises(CheckpointError, match="damaged"):
        read_resume(tmp_path / RESUME)
    state, note = load_resume(tmp_path)
    assert state["number"] == 1
    assert "damaged" in note
    save_resume(tmp_path, {"number": 3})
    assert read_resume(tmp_path / PREVIOUS)["number"] == 1  # and not the damaged one
    (tmp_path / RESUME).write_bytes(b"")
    (tmp_path / PREVIOUS).write_bytes(b"")
    with pytest.raises(CheckpointError, match="cannot be resumed from"):
        load_resume(tmp_path)


def test_a_kill_between_the_moves_of_a_save_keeps_the_previous(tmp_path):
    save_resume(tmp_path, {"number": 1})
    os.replace(tmp_path / RESUME, tmp_path / PREVIOUS)
    assert can_resume(tmp_path)
    assert load_resume(tmp_path) == ({"number": 1}, "")
    save_resume(tmp_path, {"number": 2})
    assert load_resume(tmp_path) == ({"number": 2}, "")


def test_a_missing_or_invalid_state_is_a_sentence(tmp_path):
    with pytest.raises(CheckpointError, match="nothing to resume from"):
        load_resume(tmp_path)
    save_resume(tmp_path, [1, 2])
    with pytest.raises(CheckpointError, match="damaged"):
        load_resume(tmp_path)


@pytest.mark.parametrize("kind", ["pickle", "torch", "legacy torch", "inside a state"])
@pytest.mark.parametrize("summed", [False, True])
def test_a_pickled_program_is_refused_and_not_run(tmp_path, kind, summed):
    target, path, content = tmp_path / "executed", tmp_path / RESUME, io.BytesIO()
    evil = Evil(str(target))
    if kind == "pickle":
        content.write(pickle.dumps(evil))
        pickle.loads(content.getvalue())
    else:
        trap = {"config": evil} if kind == "inside a state" else evil
        torch.save(trap, content, _use_new_zipfile_serialization=kind[0] != "l")
        torch.load(io.BytesIO(content.getvalue()), weights_only=False)
    # the trap works ...
    assert target.exists()
    target.rmdir()
    # ... and nobody walks into it
    sum_line = f"MNIST Lab resume state, SHA-256 {hashlib.sha256(content.getvalue()).hexdigest()}\n".encode()
    path.write_bytes((sum_line if summed else b"") + content.getvalue())
    with pytest.raises(CheckpointError, match="cannot be resumed from") as refusal:
        load_resume(tmp_path)
    assert ("SHA-256" in str(refusal.value)) != summed
    assert not target.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"position": [1, 2]},
        {"position": [-1, 0, 0]},
        {"position": [4, 0, 0]},
        {"position": [1, 99, 0]},
        {"position": ["1", 0, 0]},
        {"position": None},
        {"seconds": [float("nan"), 0.0]},
        {"sums": [0.0]},
        {"model": {}},
        {"optimizer": None},
        {"ema": {"module.x": torch.zeros(1)}},
        {"rng": torch.zeros(3)},
        {"config": {}},
    ],
)
def test_a_state_of_another_training_is_refused(tiny_data, changes):
    state = TrainState(RESUMABLE, tiny_data)
    good = state.state_dict()
    restore(TrainState(RESUMABLE, tiny_data), good)
    with pytest.raises(CheckpointError, match="start a new run"):
        restore(TrainState(RESUMABLE, tiny_data), {**good, **changes})


# ---- killed ---------------------------------------------------------------------------------------------------------


def live(folder: str, save_every: float, deadly: str, number: int) -> None:
    """One life of a run in a process of its own, which dies by SIGKILL at the `number`-th call of `deadly`.

    `deadly` is `replace:before`, `replace:after`, `fsync:before`, `write:half` or empty.
    """
    torch.set_num_threads(1)
    execution.RESUME_EVERY_SECONDS = save_every
    name, _, when = deadly.partition(":")
    calls = 0
    if name:
        real = getattr(os, name)

        def call(*arguments: object):
            nonlocal calls
            calls += 1
            if calls == number and when == "half":
                real(arguments[0], arguments[1][: len(arguments[1]) // 2])
            if calls == number and when == "after":
                with contextlib.suppress(FileNotFoundError):  # there is no state before the first
                    real(*arguments)
            if calls == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments)

        setattr(os, name, call)
    execute(Run(Path(folder)))


pytestmark_killed = pytest.mark.skipif(os.name == "nt", reason="kills by signal and forks")


@pytest.fixture(scope="module")
def lives():
    """begin(run, save_every, deadly, number) → the process, begun."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*IMPORTS, __name__])

    def begin(run: Run, save_every: float = 0.0, deadly: str = "", number: int = 0):
        process = context.Process(target=live, args=(str(run.folder), save_every, deadly, number))
        process.start()
        return process

    with pytest.MonkeyPatch.context() as patch:
        # a process imports the main program first: that of pytest, or of an app tested earlier, is of no use to it
        patch.setitem(sys.modules, "__main__", types.ModuleType("__main__"))
        first = context.Process(target=int)  # takes as long as the imports, which no life should have to wait for
        first.start()
        first.join()
        yield begin


@pytest.fixture(scope="module", params=["last", "best"])
def whole(request, lives, tmp_path_factory) -> Run:
    """A run that nobody disturbed."""
    return undisturbed(lives, tmp_path_factory.mktemp("whole"), keep=request.param)


def undisturbed(lives, folder: Path, **changes: object) -> Run:
    run = create_run(RESUMABLE.replace(**changes), folder)
    lives(run).join()
    assert run.status().state == "completed", run.status().reason
    return run


def as_killed_runs_go_on(run: Run, lives) -> None:
    """To the end, as Continue does."""
    assert run.status().state in MAY_BE, run.status()
    lives(run).join()


def assert_same(run: Run, whole: Run) -> None:
    """Weights, measurements, test figures and the files that are left."""
    assert run.status().state == "completed", run.status().reason
    mine, theirs = ([(f.name, read_card(f)) for f in r.checkpoints()] for r in (run, whole))
    assert [(name, card.weights_sha256) for name, card in mine] == [
        (name, card.weights_sha256) for name, card in theirs
    ]
    assert [card.metrics for _, card in mine] == [card.metrics for _, card in theirs]
    assert all(is_whole(folder) for folder in run.checkpoints())
    assert run.checkpoint().name == whole.checkpoint().name
    assert timeless(run) == timeless(whole)
    assert files(run) == files(whole)
    assert load_resume(run.folder)[1] == ""


def files(run: Run) -> set[str]:
    return {str(path.relative_to(run.folder)) for path in run.folder.rglob("*") if path.is_file()}


@pytestmark_killed
def test_a_run_killed_at_random_ends_with_the_same_result(lives, whole, tmp_path):
    """The seed makes the instants the same on each repetition, as far as a clock can."""
    instants = random.Random(SEED + (whole.config().keep == "best"))
    lifetime = whole.status().updated - whole.config_path.stat().st_mtime
    kills, run, longest = [], None, lifetime
    while len(kills) < RANDOM_KILLS / 2 or run is not None:
        if run is None:
            run, longest = create_run(whole.config(), tmp_path), lifetime
        process = lives(run)
        instant = instants.uniform(0.0, longest)
        longest *= 1.1  # so that it comes to an end on a machine that has become busy meanwhile
        process.join(instant)
        process.kill()
        process.join()
        if process.exitcode == -signal.SIGKILL:
            kills.append(round(instant, 3))
            assert run.status().state in MAY_BE, run.status()
            if run.status().state != "completed":
                continue
        assert_same(run, whole)
        run = None
    print(f"seed {SEED}, keep {whole.config().keep}: killed {len(kills)} times, s after the start: {kills}")


# a run of two epochs, with a state saved after each, moves its place in the queue, its first status, per epoch two
# files of a checkpoint and two states, the card with the test figures and its last status; it syncs as many: the log in
# place of the older state
TIMES_MOVED = TIMES_SYNCED = 2 + 2 * 4 + 2
DEATHS = [(f"replace:{when}", number) for when in ("before", "after") for number in range(1, TIMES_MOVED + 1)]
DEATHS += [("fsync:before", number) for number in range(1, TIMES_SYNCED + 1)]
DEATHS += [("write:half", number) for number in (1, 6, 12, 24)]  # of 24 events


@pytestmark_killed
def test_a_run_killed_within_a_write_ends_with_the_same_result(lives, tmp_path):
    """At every move and sync of a file, and within lines of the log."""
    whole = undisturbed(lives, tmp_path / "whole", epochs=2)
    for deadly, number in (("replace:before", TIMES_MOVED + 1), ("fsync:before", TIMES_SYNCED + 1)):
        run = create_run(whole.config(), tmp_path)
        lives(run, 1000.0, deadly, number).join()
        assert_same(run, whole)  # no call is left out below
    for deadly, number in DEATHS:
        run = create_run(whole.config(), tmp_path)
        process = lives(run, 1000.0, deadly, number)
        process.join()
        assert process.exitcode == -signal.SIGKILL, (deadly, number, run.status())
        as_killed_runs_go_on(run, lives)
        assert_same(run, whole)


@pytestmark_killed
def test_a_run_outlives_its_server_and_is_resumed_by_the_next(lives, tmp_path):
    """The server is a process that owns a pool of workers; it and then its worker are killed."""
    runs_dir = tmp_path / "runs"
    run = create_run(RESUMABLE.replace(epochs=200), runs_dir)
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(runs_dir), run.id], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    worker_pid = int(server.stdout.readline())
    try:
        until(lambda: can_resume(run.folder), 120)
        server.kill()
        server.wait()
        seen = len(EventReader(run).read())
        until(lambda: len(EventReader(run).read()) > seen + 20)
        assert run.status().state == "running"
    finally:
        os.kill(worker_pid, signal.SIGKILL)
    until(lambda: run.status().state == "crashed")
    assert not (runs_dir / ".queue").exists() or run not in Queue(runs_dir)
    before = EventReader(run).read()[-1]["step"]

    process = lives(run)
    until(lambda: EventReader(run).read()[-1].get("step", 0) > before)
    run.command("stop")  # two hundred epochs are not worth waiting for
    process.join()
    assert run.status().state == "stopped"
    steps = [event["step"] for event in EventReader(run).read() if event["event"] == "step"]
    assert steps == list(range(1, len(steps) + 1))


SERVER = """
import sys, time
from pathlib import Path
from mnist_core.runs.pool import WorkerPool
from mnist_core.runs.run import Run
runs = Path(sys.argv[1])
pool = WorkerPool(runs, runs / "no-data")
pool.start(Run(runs / sys.argv[2]))
print(pool.processes[0].pid, flush=True)
time.sleep(600)
"""
