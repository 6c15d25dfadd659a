"""A search in a real PostgreSQL: machines join it, the server goes away and comes back, its password is nowhere."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from mnist_core.experiments import search_storage
from mnist_core.experiments.search import begin_search, join_search
from mnist_core.experiments.search_plan import checked_budget, make_plan
from mnist_core.experiments.search_space import parse_range
from mnist_core.experiments.search_work import take, work
from tests.helpers import ROOT, free_port, until
from tests.helpers.postgresql import PASSWORD, postgresql_server
from tests.helpers.runs import CONFIG

pytestmark = pytest.mark.usefixtures("postgresql_programs")
RANGES = ["--range", "learning_rate=1e-4:1e-1:log", "--range", "dropout=0:0.5"]
ARGUMENTS = ["--recipe", "quick", "--dataset", "digits", "--set", "model=mlp", "--set", "epochs=12", *RANGES]


@pytest.fixture(scope="module")
def database():
    with postgresql_server() as running:
        yield running


def plan(name, **changes):
    base = CONFIG.replace(**changes)
    return make_plan(base, [parse_range("learning_rate=1e-4:1e-1:log", base)], name, pruner="none")


def machine(name, url, folder, *arguments):
    """A process of the search on a machine of its own, as far as a runs folder makes one."""
    folder.mkdir(exist_ok=True)
    log = (folder / "log").open("wb")
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "mnist_core",
            "search",
            "--study",
            name,
            "--runs-dir",
            str(folder),
            "--json",
            *arguments,
        ],
        cwd=ROOT,
        env={**os.environ, "MNIST_LAB_STUDY": url},
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )


def test_two_machines_share_a_budget_and_no_password(database, tmp_path):
    folders = [tmp_path / "one", tmp_path / "two"]
    processes = [machine("shared", database.url, folder, *ARGUMENTS, "--trials", "7") for folder in folders]
    results = []
    for process, folder in zip(processes, folders, strict=True):
        out, _ = process.communicate(timeout=200)
        assert process.returncode == 0, (folder / "log").read_text()
        results.append(json.loads(out.splitlines()[-1]))
    assert results[0] == results[1]
    assert results[0]["trials"] == 7
    runs = [run for folder in folders for run in folder.glob("2*")]
    assert len(runs) == 7
    assert results[0]["best"]["run_dir"] in {str(run.resolve()) for run in runs}
    written = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert len(written) > 20
    assert not [path for path in written if PASSWORD.encode() in path.read_bytes()]


def test_a_trial_goes_on_while_the_server_is_away(database, tmp_path):
    folder = tmp_path / "runs"
    process = machine(
        "away", database.url, folder, *ARGUMENTS, "--trials", "2", "--pruner", "none", "--set", "epochs=60"
    )
    search = None
    until(lambda: list(folder.glob("2*/metrics.jsonl")))
    database.stop()
    run = next(folder.glob("2*"))
    try:
        until(lambda: json.loads((run / "status.json").read_text())["state"] == "completed")
        assert process.poll() is None  # it keeps the result
    finally:
        database.start()
    out, _ = process.communicate(timeout=100)
    assert process.returncode == 0, (folder / "log").read_text()
    search = join_search("away", folder, database.url)
    first = search.trials()[0]
    assert first.state == "completed"
    assert len(first.curve) == 60  # what could not be told meanwhile was told afterwards
    assert json.loads(out.splitlines()[-1])["trials"] == 2


def test_a_storage_that_stays_away_is_said(database, tmp_path, monkeypatch):
    monkeypatch.setattr(search_storage, "PATIENCE_SECONDS", 1.0)
    search = begin_search(plan("gone"), checked_budget(1, None), tmp_path, database.url)
    taken = take(search)
    taken.lock.release()
    database.stop()
    try:
        with pytest.raises(search_storage.StorageError, match="cannot be reached any more") as caught:
            work(search)
    finally:
        database.start()
    assert PASSWORD not in str(caught.value)
    work(join_search("gone", tmp_path, database.url))
    assert [one.state for one in join_search("gone", tmp_path, database.url).trials()] == ["completed"]


def test_a_trial_of_a_machine_that_died_is_tried_again(database, tmp_path, monkeypatch):
    monkeypatch.setattr(search_storage, "HEARTBEAT_SECONDS", 1)
    monkeypatch.setattr(search_storage, "GRACE_SECONDS", 2)
    far = begin_search(plan("died"), checked_budget(2, None), tmp_path / "far", database.url)
    lost = take(far)
    wanted = lost.trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True)
    near = join_search("died", tmp_path / "near", database.url)
    assert near.plan == far.plan
    time.sleep(3.1)
    work(near)
    trials = near.trials()
    assert [one.state for one in trials] == ["failed", "completed", "completed"]
    assert trials[1].settings == {"learning_rate": wanted}
    assert "again" in near.study.get_trials()[1].user_attrs
    # the machine was only away: it comes back with a result, which is counted no second time
    work(far)
    assert [one.state for one in far.trials()] == ["failed", "completed", "completed"]


def test_a_wrong_address_is_one_sentence_without_password(database, tmp_path, refused):
    def storage(url):
        return refused("search", *ARGUMENTS, "--storage", url, "--runs-dir", str(tmp_path / "runs"))

    said = storage(database.url.replace(PASSWORD, "wrong-guess"))
    assert "password authentication failed" in said
    assert "wrong-guess" not in said
    said = storage(database.url.replace(str(database.port), str(free_port())))
    assert database.url not in said
    assert "cannot be reached" in said
    assert PASSWORD not in said
    assert "not in sqlite" in storage("sqlite:///trials.db")
    assert "is no address of a database" in storage("postgresql://lab@host:port/x")
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").glob(".searches/*/search.json"))


def test_machines_that_ask_at_once_exceed_no_budget(database, tmp_path):
    places = [
        begin_search(plan("at-once"), checked_budget(1, None), tmp_path / name, database.url) for name in ("one", "two")
    ]
    # the second has looked before the first asked, as a machine may that shares no lock with it
    places[1].over = lambda: False
    taken = take(places[0])
    assert taken is not None
    assert take(places[1]) is None
    assert len(places[1].trials()) == 1
    taken.lock.release()
    work(places[0])
    assert [one.counted for one in places[1].trials()] == [True]


def test_a_killed_process_is_noticed_by_its_own_machine(database, tmp_path):
    folder = tmp_path / "runs"
    process = machine("killed", database.url, folder, *ARGUMENTS, "--trials", "1", "--set", "epochs=200")
    until(lambda: list(folder.glob("2*/metrics.jsonl")))
    process.send_signal(signal.SIGKILL)
    process.wait()
    search = join_search("killed", folder, database.url)
    assert [one.state for one in search.trials()] == ["interrupted"]
    taken = take(search)  # at once, a minute before the database would know
    assert taken.trial.number == 0
    taken.lock.release()
