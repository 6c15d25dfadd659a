"""A search in its journal: trials are runs judged on validation, none is lost, none counted twice, nothing is torn."""

import json

import optuna
import pytest

from mnist_core.errors import ConfigError, LabError, RunError, RunFailedError
from mnist_core.experiments import search_work
from mnist_core.experiments.search import (
    STOPPED,
    begin_search,
    join_search,
    list_searches,
    open_search,
)
from mnist_core.experiments.search_plan import checked_budget, make_plan
from mnist_core.experiments.search_space import parse_range
from mnist_core.experiments.search_storage import StorageError, insist, without_password
from mnist_core.experiments.search_work import outcome_of, take, work
from mnist_core.models.checkpoint import read_card
from mnist_core.runs import checkpointing
from mnist_core.runs.execute import execute
from mnist_core.runs.run import Run, list_runs
from mnist_core.system.settings import runs_folder
from tests.helpers.runs import CONFIG, Killed, events

RANGES = ("learning_rate=1e-4:1e-1:log", "dropout=0:0.5", "batch_size=64,128")


def begun(trials=3, name="tried", ranges=RANGES, pruner="none", **changes):
    base = CONFIG.replace(**changes)
    plan = make_plan(base, [parse_range(text, base) for text in ranges], name, pruner=pruner)
    return begin_search(plan, checked_budget(trials, None))


def run_of(search, taken):
    """The run that the process makes of the trial that it has taken."""
    settings = {found.field: found.suggest(taken.trial) for found in search.plan.ranges}
    return search_work._run_of(search, taken.trial, settings)


def states(search):
    return [one.state for one in search.trials()]


def killed_in_epoch(number):
    def on_event(event):
        if event["event"] == "epoch" and event["epoch"] == number:
            raise Killed

    return on_event


def test_trials_are_runs_and_the_test_images_stay_unread(monkeypatch):
    monkeypatch.setattr(checkpointing, "evaluate", lambda *_: pytest.fail("the test images were read"))
    search = begun(3, keep="best")
    work(search)
    trials = search.trials()
    assert [one.state for one in trials] == ["completed"] * 3
    for one in trials:
        assert one.run.trial == ("tried", one.number)
        assert {name: getattr(one.run.config(), name) for name in one.settings} == one.settings
        assert "test_accuracy" not in events(one.run)[-1]
        assert "test_accuracy" not in read_card(one.run.checkpoint()).metrics
        assert "test images unread" in one.run.status().reason
        epochs = [event["val_accuracy"] for event in events(one.run) if event["event"] == "epoch"]
        assert one.value == max(epochs)
        assert list(one.curve.values()) == epochs
    assert search.best().value == max(one.value for one in trials)
    assert len({str(one.settings) for one in trials}) == 3


def test_the_last_epoch_counts_where_it_is_kept():
    search = begun(1, keep="last")
    work(search)
    assert search.best().value == [e["val_accuracy"] for e in events(search.best().run) if e["event"] == "epoch"][-1]


def test_a_trial_is_read_on_test_when_somebody_asks():
    search = begun(1)
    work(search)
    run = search.best().run
    measured = checkpointing.evaluate_stopped_run(run)
    assert 0 < measured["test_accuracy"] <= 1
    assert events(run)[-1]["reason"] == "completed"
    assert search.best().value == read_card(run.checkpoint()).metrics["val_accuracy"]


@pytest.mark.parametrize(("pruner", "trials"), [("asha", 6), ("median", 10)])
def test_a_poor_trial_is_pruned_by_its_validation(pruner, trials, monkeypatch):
    monkeypatch.setattr(search_work, "SETTLE_SECONDS", 60.0)  # however busy the machine is
    search = begun(trials, pruner=pruner, epochs=6, ranges=("learning_rate=1e-6,3e-3", "dropout=0:0.5"))
    work(search)
    trials = search.trials()
    pruned = [one for one in trials if one.state == "pruned"]
    assert pruned
    assert all(one.counted for one in trials)
    for one in pruned:
        epoch = len(one.curve)
        assert epoch < 6
        assert one.curve[epoch] < max(other.curve.get(epoch, 0) for other in trials)
        status = one.run.status()
        assert status.state == "stopped"
        assert status.reason == one.why
        assert one.why.startswith(f"Pruned after epoch {epoch}: its validation accuracy of {one.curve[epoch]:.4f}")
        assert one.run.checkpoint() is not None
    assert search.best().settings["learning_rate"] == 3e-3


@pytest.mark.parametrize("epoch", [1, 2])
def test_a_killed_trial_goes_on_as_the_same_run(epoch):
    search = begun(1)
    first = take(search)
    run = run_of(search, first)
    with pytest.raises(Killed):
        execute(run, on_event=killed_in_epoch(epoch))
    assert states(search) == ["running"]  # its lock is held
    first.lock.release()
    assert states(search) == ["interrupted"]
    other = open_search("tried")
    work(other)
    (one,) = other.trials()
    assert one.state == "completed"
    assert one.run.id == run.id
    assert [event["event"] for event in events(run)].count("resume") == 1
    assert len(list_runs()) == 1
    assert sorted(one.curve) == [1, 2, 3]


def test_killed_between_the_runs_birth_and_its_note_it_is_found():
    search = begun(1)
    taken = take(search)
    settings = {found.field: found.suggest(taken.trial) for found in search.plan.ranges}
    made = search_work.create_run(search.config(settings), search.runs_dir, trial=("tried", 0))
    taken.lock.release()
    work(search)
    assert [one.run.id for one in search.trials()] == [made.id]


def test_killed_before_it_was_told_a_trial_is_not_trained_again():
    search = begun(1)
    taken = take(search)
    run = run_of(search, taken)
    execute(run)
    before = run.metrics_path.read_bytes()
    taken.lock.release()
    work(search)
    assert states(search) == ["completed"]
    assert run.metrics_path.read_bytes() == before
    assert search.best().value == events(run)[-1]["val_accuracy"]


def test_killed_as_it_asked_a_trial_is_made_up_for(monkeypatch):
    search = begun(1)
    search.study.ask()
    assert take(search) is None  # it may be asking just now
    monkeypatch.setattr(search_work, "GRACE_SECONDS", 0.0)
    work(search)
    assert states(search) == ["failed", "completed"]


def test_a_process_that_dies_again_and_again_is_given_up(monkeypatch):
    monkeypatch.setattr(search_work, "MOST_DEATHS", 2)
    search = begun(1)
    monkeypatch.setattr(search_work, "execute", lambda run, *_: run.set_status("running") or _die())
    for _ in range(2):
        with pytest.raises(Killed):
            work(search)
    monkeypatch.setattr(search_work, "execute", execute)
    work(search)
    assert states(search) == ["failed", "completed"]
    assert "died 2 times" in search.trials()[0].why


def _die():
    raise Killed


def test_a_stopped_search_goes_on_where_it_stood():
    search = begun(2)
    monkey = open_search("tried")

    def stop_after_first(event, said=[]):  # noqa: B006 - once
        if event["event"] == "epoch" and not said:
            said.append(1)
            monkey.stop()

    original = search_work.Reporter.event
    search_work.Reporter.event = lambda self, event: (original(self, event), stop_after_first(event))[0]
    try:
        work(search)
    finally:
        search_work.Reporter.event = original
    (one,) = search.trials()
    assert one.state == "interrupted"
    assert one.run.status().reason == STOPPED
    work(search)  # it stays stopped
    assert len(search.trials()) == 1
    search.go_on()
    work(search)
    assert states(search) == ["completed", "completed"]
    assert search.trials()[0].run.id == one.run.id


def test_a_diverged_trial_counts_and_a_broken_one_does_not(monkeypatch):
    wild = {"optimizer": "sgd", "momentum": 0.999, "batch_norm": False, "l2_first": 1.0}
    search = begun(1, ranges=("learning_rate=9,10",), **wild)
    work(search)
    (one,) = search.trials()
    assert one.state == "pruned"
    assert one.run.status().state == "failed"
    assert "diverged" in one.why
    broken = begun(2, name="broken")
    monkeypatch.setattr("mnist_core.data.prepare.load_for", _no_data)
    with pytest.raises(RunFailedError, match="3 trials in a row failed, the last with: No data"):
        work(broken)
    assert states(broken) == ["failed"] * 3


def _no_data(*_, **__):
    raise LabError("No data.")


def test_a_run_stopped_by_hand_is_told_as_it_ended():
    search = begun(2)
    taken = take(search)
    run = run_of(search, taken)

    def stop(event):
        if event["event"] == "epoch":
            run.command("stop")

    execute(run, on_event=stop)
    assert outcome_of(run, {}) == search_work.Outcome("PRUNED", None, "Stopped by hand.")
    taken.lock.release()
    work(search)
    assert states(search) == ["pruned", "completed"]


def test_the_same_command_joins_and_another_is_refused():
    begun(5)
    assert begun(7).budget.trials == 7
    with pytest.raises(ConfigError, match="has other ranges: dropout="):
        begun(ranges=("learning_rate=1e-4:1e-2:log", "dropout=0:0.5"))
    with pytest.raises(ConfigError, match="begun with another pruner, epochs"):
        begun(pruner="asha", epochs=9)
    assert open_search("tried").budget.trials == 7
    assert [plan.name for plan in list_searches()] == ["tried"]
    assert list_searches()[0] == open_search("tried").plan


def test_a_budget_of_minutes_ends_it_and_makes_sense():
    search = begun()
    search.set_budget(checked_budget(None, 1e-9))
    work(search)
    assert search.trials() == []
    for trials, minutes in ((0, None), (None, 0.0), (None, float("nan")), (10**9, None)):
        with pytest.raises(ConfigError):
            checked_budget(trials, minutes)
    assert checked_budget(None, None).trials == 20


def test_a_torn_line_of_the_journal_is_cut_off():
    search = begun(1)
    journal = search.folder / "journal.jsonl"
    whole = journal.read_bytes()
    with journal.open("ab") as file:
        file.write(b'{"op_code":4,"worker_id":"torn')
    other = open_search("tried")
    work(other)
    assert states(open_search("tried")) == ["completed"]
    assert journal.read_bytes().startswith(whole)
    assert all(json.loads(line) for line in journal.read_text().splitlines())


def test_a_storage_that_went_away_is_told_afterwards(monkeypatch):
    search = begun(1)
    real, calls = optuna.Trial.report, []

    def away(self, value, step):
        calls.append(step)
        if len(calls) < 3:
            raise optuna.exceptions.StorageInternalError("away")
        real(self, value, step)

    monkeypatch.setattr(optuna.Trial, "report", away)
    work(search)
    (one,) = search.trials()
    assert one.state == "completed"
    assert sorted(one.curve) == [1, 2, 3]
    assert calls[:3] == [1, 1, 1]


def test_insisting_ends_with_a_sentence():
    def refuse():
        raise ConnectionError("no route to postgresql://lab:hunter2@db/lab")

    with pytest.raises(StorageError, match="cannot be reached any more") as caught:
        insist(refuse, 0.0)
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ZeroDivisionError):
        insist(lambda: 1 / 0, 0.0)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://lab:a@b/c@db.example.org:5432/lab", "postgresql://lab@b/c@db.example.org:5432/lab"),
        ("postgresql://lab:secret@db/lab", "postgresql://lab@db/lab"),
        ("postgresql://db/lab?password=secret&sslmode=require", "postgresql://db/lab?sslmode=require"),
        ("postgresql://db/lab?sslmode=require&password=secret", "postgresql://db/lab?sslmode=require"),
        ("mysql+pymysql://u:p@h/d", "mysql+pymysql://u@h/d"),
        ("/tmp/search.journal", "/tmp/search.journal"),
    ],
)
def test_no_password_is_shown(url, shown):
    assert without_password(url) == shown


def test_a_file_that_is_no_journal_is_refused(tmp_path):
    plan = make_plan(CONFIG, [parse_range(RANGES[0], CONFIG)], "elsewhere")
    (tmp_path / "notes.txt").write_text("no journal\n")
    with pytest.raises(LabError, match="is no journal of a search"):
        begin_search(plan, None, storage=str(tmp_path / "notes.txt"))
    (tmp_path / "damaged").write_text('{"op_code": 0}\n{"op_\n{}\n')
    with pytest.raises(LabError, match="is no journal of a search"):
        begin_search(plan, None, storage=str(tmp_path / "damaged"))
    with pytest.raises(StorageError, match="cannot be written"):
        begin_search(plan, None, storage=str(tmp_path / "nowhere" / "journal"))
    assert list_searches() == []
    begin_search(plan, checked_budget(1, None), storage=str(tmp_path / "own.journal"))
    assert open_search("elsewhere").budget.trials == 1
    with pytest.raises(ConfigError, match="kept elsewhere"):
        begin_search(plan, None)


def test_a_search_that_is_not_there_is_one_sentence():
    for name in ("nowhere", "../../etc", ""):
        with pytest.raises(RunError, match="There is no search"):
            join_search(name)
    begun()
    (runs_folder() / ".searches" / "tried" / "search.json").write_text("[]")
    with pytest.raises(RunError, match="or its file is damaged"):
        open_search("tried")
    assert list_searches() == []


def test_two_machines_on_one_journal_take_different_trials(tmp_path):
    plan = make_plan(CONFIG, [parse_range(RANGES[0], CONFIG)], "both", pruner="none")
    storage = str(tmp_path / "journal")
    one = begin_search(plan, checked_budget(2, None), tmp_path / "one", storage)
    two = join_search("both", tmp_path / "two", storage)
    assert one.place != two.place
    first, second = take(one), take(two)
    assert {first.trial.number, second.trial.number} == {0, 1}
    assert take(one) is None
    first.lock.release()
    assert states(one) == ["interrupted", "running"]
    assert states(two) == ["running", "running"]  # nothing tells it of the other machine
    second.lock.release()


def test_a_deleted_run_leaves_its_trial():
    search = begun(1)
    work(search)
    run = search.best().run
    from mnist_core.runs.storage import delete_run

    delete_run(run.id)
    best = search.best()
    assert best.run is None
    assert best.run_dir == str(run.folder.resolve())
    assert not Run(run.folder).config_path.exists()


def test_a_search_waits_for_a_trial_that_was_only_asked_for():
    search = begun(1)
    search.study.ask()  # and killed at once
    assert search_work._others_at_work(search)


def test_a_trial_told_while_its_lock_was_taken_is_left_alone(monkeypatch):
    search, other = begun(1), open_search("tried")
    taken = take(search)
    run = run_of(search, taken)
    held = other.trial_lock

    def told_meanwhile(number):
        lock = held(number)
        if not lock.is_locked and taken.lock.is_locked:
            search.study.tell(number, 0.5)
            taken.lock.release()
        return lock

    monkeypatch.setattr(other, "trial_lock", told_meanwhile)
    assert take(other) is None
    assert run.control().command == "run"
    assert [one.value for one in other.trials()] == [0.5]


def test_the_longest_trial_counts_for_the_limits(monkeypatch, refused):
    monkeypatch.setenv("MNIST_LAB_MAX_EPOCHS", "5")
    said = refused("search", "--dataset", "digits", "--epochs", "2", "--range", "epochs=2:9")
    assert "at most 5 epochs" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "at least one range"),
        (["--range", "speed=1:2"], "There is no setting 'speed'"),
        (["--range", "dropout=0:0.5", "--set", "dropout=0.1"], "dropout has both a range and a value"),
        (["--range", "dropout=0:0.5", "--trials", "many"], "--trials should be a whole number"),
        (["--range", "dropout=0:0.5", "--trials", "0"], "1 to 10000 trials"),
        (["--range", "dropout=0:0.5", "--study", "../x"], "A search's name has"),
        (["--range", "model=mlp,nothing"], "There is no model 'nothing'"),
        (["--join", "nowhere"], "There is no search 'nowhere'"),
        (["--join", "nowhere", "--trials", "3"], "leave out --trials"),
        (["--range", "dropout=0:0.5", "--sampler", "grid"], "invalid choice"),
    ],
)
def test_a_wrong_request_is_one_sentence(refused, arguments, said):
    assert said in refused("search", *(() if "--join" in arguments else ("--dataset", "digits")), *arguments)


def test_the_command_line_tells_its_result(ask):
    ranges = ["--range", "learning_rate=1e-3:1e-2:log", "--set", "model=mlp"]
    arguments = ["search", "--recipe", "quick", "--dataset", "digits", "--epochs", "2", *ranges, "--study", "line"]
    status, out, err = ask(*arguments, "--trials", "2", "--pruner", "none", "--json")
    assert status == 0, err
    result = json.loads(out.splitlines()[-1])
    assert set(result) == {"study", "trials", "pruned", "failed", "best"}
    assert (result["study"], result["trials"], result["pruned"]) == ("line", 2, 0)
    best = open_search("line").best()
    assert result["best"] == {
        "val_accuracy": best.value,
        "settings": best.settings,
        "run_dir": str(best.run.folder),
    }
    # the same command joins: nothing is left to do
    assert json.loads(ask(*arguments, "--json", "--pruner", "none")[1].splitlines()[-1]) == result
    assert len(list_runs()) == 2
