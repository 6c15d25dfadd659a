import json
import secrets
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mnist_core.config import TrainConfig
from mnist_core.errors import ConfigError, RunError
from mnist_core.models.checkpoint import load_checkpoint
from mnist_core.runs.execute import execute
from mnist_core.runs.history import HistoryReader
from mnist_core.runs.run import (
    META,
    QUEUED_GRACE_SECONDS,
    Run,
    create_run,
    list_runs,
    open_run,
    parse_owner,
)
from mnist_core.system.files import read_json
from mnist_core.system.settings import runs_folder

CONFIG = TrainConfig(recipe="quick", dataset="digits", epochs=3)


@pytest.fixture
def run(tmp_path) -> Run:
    return create_run(CONFIG, tmp_path / "runs")


# ---- directories ----------------------------------------------------------------------------------------------------


def test_a_new_run_is_a_directory_with_its_config_and_waits(run, tmp_path):
    assert run.folder.parent == tmp_path / "runs"
    assert json.loads((run.folder / "config.json").read_text()) == CONFIG.model_dump()
    status = json.loads((run.folder / "status.json").read_text())
    assert status["state"] == "queued"
    assert status["updated"] == pytest.approx(time.time(), abs=30)
    assert run.config() == CONFIG
    assert (run.status().state, run.status().active) == ("queued", True)
    assert run.id == run.folder.name
    assert "quick" in run.id
    assert run.checkpoint() is None


def test_a_taken_name_is_drawn_again(tmp_path, monkeypatch):
    digits, token_hex = iter(["beef", "beef", "cafe"]), secrets.token_hex
    monkeypatch.setattr("mnist_core.runs.run.time.strftime", lambda _: "20260101-000000")
    monkeypatch.setattr("mnist_core.runs.run.secrets.token_hex", lambda n: next(digits) if n == 2 else token_hex(n))
    first, second = (create_run(CONFIG.replace(seed=seed), tmp_path) for seed in (1, 2))
    assert (first.id, second.id) == ("20260101-000000-quick-beef", "20260101-000000-quick-cafe")
    assert (first.config().seed, second.config().seed) == (1, 2)


def test_runs_go_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("MNIST_LAB_RUNS", str(tmp_path / "elsewhere"))
    assert runs_folder() == tmp_path / "elsewhere"
    created = create_run(CONFIG)
    assert created.folder.parent == tmp_path / "elsewhere"
    assert open_run(created.id) == created
    monkeypatch.delenv("MNIST_LAB_RUNS")
    assert str(runs_folder()) == "runs"


@pytest.mark.parametrize("recipe", ["../../outside", "a/b", "", "ä ö", "x" * 60, "-", "a\nb"])
def test_whatever_the_recipe_is_called_the_run_has_a_plain_name(tmp_path, recipe):
    run = create_run(CONFIG.replace(recipe=recipe), tmp_path / "runs")
    assert run.folder.parent == tmp_path / "runs"
    assert open_run(run.id, tmp_path / "runs") == run
    assert [r.id for r in list_runs(tmp_path / "runs")] == [run.id]


def test_runs_begun_in_the_same_second_are_apart(tmp_path):
    assert len({create_run(CONFIG, tmp_path).id for _ in range(20)}) == 20


def test_runs_are_listed_newest_first_and_nothing_else_is(tmp_path):
    for name in ("20260101-000000-quick-aaaa", "20261231-235959-quick-bbbb", "20260601-120000-quick-cccc"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
    (tmp_path / "no-config").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "config.json").write_text("{}")
    (tmp_path / "a-file").write_text("")
    assert [run.id[:8] for run in list_runs(tmp_path)] == ["20261231", "20260601", "20260101"]
    assert list_runs(tmp_path / "missing") == []
    assert list_runs(tmp_path / "a-file") == []


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "/etc", "x" * 200, "a b", "a\0b", "-x", "x\n", "nothing"]
)
def test_a_name_that_is_no_run_never_becomes_a_path(tmp_path, name):
    for folder in (tmp_path, tmp_path / "x", tmp_path / "runs" / "a" / "b"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text("{}")
    with pytest.raises(RunError, match="There is no run"):
        open_run(name, tmp_path / "runs")


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("in the way")
    for root in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(RunError, match=r"cannot be written to .*file.*MNIST_LAB_RUNS"):
            create_run(CONFIG, root)


@pytest.mark.parametrize("content", [None, "", "[]", '{"epochs": 0}', '{"nope": 1}', "\x00"])
def test_a_damaged_config_is_a_sentence(run, content):
    path = run.folder / "config.json"
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(RunError, match=f"{run.id} is damaged"):
        run.config()


# ---- status ---------------------------------------------------------------------------------------------------------

HOLD = (
    "import sys, filelock\nwith filelock.FileLock(sys.argv[1]):\n    print('held', flush=True)\n    sys.stdin.read()\n"
)


@pytest.fixture
def living(run):
    """Another process that has the run, until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run.folder / ".worker.lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize("state", ["running", "paused"])
def test_a_run_is_crashed_as_soon_as_its_process_is_gone(run, living, state):
    run.set_status(state)
    assert run.is_executed()
    assert run.status().state == state
    living.kill()
    living.wait(timeout=20)
    assert not run.is_executed()
    status = run.status()
    assert (status.state, status.active) == ("crashed", False)
    assert "process" in status.reason
    assert json.loads((run.folder / "status.json").read_text())["state"] == state


@pytest.mark.parametrize("state", ["stopped", "completed", "failed"])
def test_an_ended_run_needs_no_process(run, state):
    run.finish(state, "A reason.")
    status = run.status()
    assert (status.state, status.reason, status.active) == (state, "A reason.", False)


def test_a_queued_run_counts_as_crashed_only_after_a_while(run, living):
    def queued_for(seconds: float) -> None:
        value = {"state": "queued", "updated": time.time() - seconds}
        (run.folder / "status.json").write_text(json.dumps(value))

    queued_for(QUEUED_GRACE_SECONDS + 1)
    assert run.status().state == "queued"  # its process waits for its turn
    living.kill()
    living.wait(timeout=20)
    assert run.status().state == "crashed"
    queued_for(QUEUED_GRACE_SECONDS - 10)
    assert run.status().state == "queued"


@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        "[]",
        "null",
        "3",
        "{}",
        '{"state": "dancing"}',
        '{"state": 3}',
        '{"state": "running", "updated": null}',
    ],
)
def test_a_damaged_status_is_a_crash(run, content):
    path = run.folder / "status.json"
    path.unlink() if content is None else path.write_text(content)
    status = run.status()
    assert status.state == "crashed"
    assert "damaged" in status.reason


# ---- commands -------------------------------------------------------------------------------------------------------


def test_the_latest_command_counts(run):
    assert run.control().command == "run"
    for command in ("pause", "run", "stop"):
        run.command(command)
        assert run.control().command == command
        assert json.loads((run.folder / "control.json").read_text()) == {"command": command}


@pytest.mark.parametrize("command", ["", "kill", "STOP", "pause\n"])
def test_an_unknown_command_is_refused_and_changes_nothing(run, command):
    run.command("pause")
    with pytest.raises(RunError, match="run, pause, stop"):
        run.command(command)
    assert run.control().command == "pause"


def test_a_command_to_a_run_that_is_gone_is_a_sentence(tmp_path):
    with pytest.raises(RunError, match="cannot be told to stop: No such file"):
        Run(tmp_path / "gone").command("stop")


@pytest.mark.parametrize("content", ["", "[]", '{"command": "dance"}', '{"command": ["run"]}', "{}"])
def test_a_damaged_command_is_none(run, content):
    (run.folder / "control.json").write_text(content)
    assert run.control().command == "run"


def test_the_checkpoint_is_the_chosen_one_or_the_newest(run):
    def add(name: str, card: bool = True) -> None:
        (run.folder / "checkpoints" / name).mkdir()
        if card:
            (run.folder / "checkpoints" / name / "card.json").write_text("{}")

    add("epoch-002")
    add("epoch-010")
    add("epoch-011", card=False)
    assert run.checkpoint().name == "epoch-010"
    run.finish("completed", "", run.folder / "checkpoints" / "epoch-002")
    assert run.checkpoint().name == "epoch-002"
    run.finish("completed", "", run.folder / "checkpoints" / "epoch-999")
    assert run.checkpoint().name == "epoch-010"
    run.finish("failed", "No reason.")
    assert run.checkpoint().name == "epoch-010"


# ---- owner ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("Ann", "Ann"),
        ("  Ann   Lee ", "Ann Lee"),
        ("Zoë-2", "Zoë-2"),
        ("O'Neil Jr.", "O'Neil Jr."),
        ("李雷", "李雷"),
        ("", ""),
    ],
)
def test_valid_owner_names_are_accepted(typed, name):
    assert parse_owner(typed) == name


@pytest.mark.parametrize(
    "typed",
    [
        "<b>x</b>",
        "a/b",
        "..",
        "../x",
        "a\\b",
        "*x*",
        "[a](b)",
        "$x$",
        ":red[x]",
        "a`b",
        "&amp;",
        "a\x00b",
        "-rf",
        "x" * 31,
    ],
)
def test_owner_names_like_markup_or_paths_are_refused(typed):
    with pytest.raises(ConfigError, match="A name has at most 30"):
        parse_owner(typed)


def test_a_run_keeps_its_owner_beside_its_settings():
    config = TrainConfig(recipe="quick", dataset="digits")
    mine, nobodys = create_run(config, owner="Ann Lee"), create_run(config)
    assert mine.owner == "Ann Lee"
    assert nobodys.owner == ""
    assert mine.config() == nobodys.config()
    assert "owner" not in read_json(mine.config_path)
    assert "Ann" not in mine.id


def test_an_invalid_owner_leaves_no_run():
    with pytest.raises(ConfigError):
        create_run(TrainConfig(recipe="quick", dataset="digits"), owner="<script>")
    assert not runs_folder().exists()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "7",
        '{"owner": 5, "pinned": 1}',
        '{"owner": "<b>", "pinned": true}',
        '{"owner": null}',
        "[" * 99_999,
    ],
)
def test_a_damaged_file_of_owner_and_pin_says_nothing(run, content):
    (run.folder / META).write_text(content)
    assert (run.owner, run.pinned) == ("", False)
    run.pin()
    assert (run.owner, run.pinned) == ("", True)


def test_a_pin_keeps_the_owner():
    run = create_run(CONFIG, owner="Ann")
    run.pin()
    assert (run.owner, run.pinned) == ("Ann", True)
    run.pin(False)
    assert (run.owner, run.pinned) == ("Ann", False)


def test_train_takes_an_owner(ask, refused):
    status, _, err = ask("train", "--dataset", "digits", "--epochs", "1", "--owner", "Ann")
    assert status == 0, err
    assert [run.owner for run in list_runs()] == ["Ann"]
    assert "A name has at most" in refused("train", "--dataset", "digits", "--owner", "<b>")
    assert len(list_runs()) == 1


# ---- a run of an earlier version ------------------------------------------------------------------------------------


def test_a_run_folder_of_november_2026_is_read_and_continued(tmp_path):
    """Its owner and its pin are a file each, its status knows no stepping, its dropout was changed at step 5."""
    (source,) = (Path(__file__).parents[1] / "fixtures").iterdir()
    shutil.copytree(source, tmp_path / "runs" / source.name)
    run = open_run(source.name, tmp_path / "runs")
    assert (run.owner, run.pinned, run.status().state) == ("Ann", True, "stopped")
    assert load_checkpoint(run.checkpoint()).card.config == run.config().replace(dropout=0.2)
    history = HistoryReader(run).history()
    assert (history.train.step[-1], history.changes[0].label) == (60, "dropout 0.1 → 0.2")
    run.pin(False)
    assert (run.owner, run.pinned) == ("Ann", False)
    run.command("run")
    execute(run)
    assert run.status().state == "completed"
    assert HistoryReader(run).history().train.step.tolist() == list(range(1, 61))
