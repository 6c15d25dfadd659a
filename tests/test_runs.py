import itertools
import json
import secrets
import subprocess
import sys
import time

import pytest

from mnist_core.config import TrainConfig
from mnist_core.errors import RunError
from mnist_core.runs.history import EventReader, RunFollower, column
from mnist_core.runs.run import QUEUED_GRACE_SECONDS, Run, create_run, list_runs, open_run
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


def test_a_name_that_is_taken_is_drawn_again_and_the_earlier_run_stays_whole(tmp_path, monkeypatch):
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


def test_a_queued_run_has_a_while_to_be_picked_up(run, living):
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


def test_the_latest_command_holds(run):
    assert run.commanded() == "run"
    for command in ("pause", "run", "stop"):
        run.command(command)
        assert run.commanded() == command
        assert json.loads((run.folder / "control.json").read_text()) == {"command": command}


@pytest.mark.parametrize("command", ["", "kill", "STOP", "pause\n"])
def test_an_unknown_command_is_refused_and_changes_nothing(run, command):
    run.command("pause")
    with pytest.raises(RunError, match="run, pause, stop"):
        run.command(command)
    assert run.commanded() == "pause"


def test_a_command_to_a_run_that_is_gone_is_a_sentence(tmp_path):
    with pytest.raises(RunError, match="cannot be told to stop: No such file"):
        Run(tmp_path / "gone").command("stop")


@pytest.mark.parametrize("content", ["", "[]", '{"command": "dance"}', '{"command": ["run"]}', "{}"])
def test_a_damaged_command_is_none(run, content):
    (run.folder / "control.json").write_text(content)
    assert run.commanded() == "run"


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


# ---- events ---------------------------------------------------------------------------------------------------------


def step(number: int) -> dict:
    return {"event": "step", "step": number, "epoch": 0, "loss": 1 / number, "accuracy": number / 10, "lr": 0.1}


def append(run: Run, *parts: object) -> None:
    with (run.folder / "metrics.jsonl").open("ab") as file:
        for part in parts:
            file.write(part if isinstance(part, bytes) else json.dumps(part).encode() + b"\n")


def test_events_are_read_as_they_come_and_each_line_once(run, monkeypatch):
    reader = EventReader(run)
    assert reader.read() == []
    append(run, step(1))
    assert reader.read() == [step(1)]
    assert reader.read() == [step(1)]
    parsed = []
    loads = json.loads
    monkeypatch.setattr(json, "loads", lambda line: (parsed.append(line), loads(line))[1])
    append(run, step(2), step(3))
    assert reader.read() == [step(1), step(2), step(3)]
    assert len(parsed) == 2


@pytest.mark.parametrize("cut", [1, 20, -1])
def test_a_torn_last_line_is_read_when_it_is_whole(run, cut):
    line = json.dumps({**step(2), "note": "größer"}, ensure_ascii=False).encode() + b"\n"
    reader = EventReader(run)
    append(run, step(1), line[:cut])
    assert reader.read() == [step(1)]
    append(run, line[cut:])
    assert reader.read() == [step(1), {**step(2), "note": "größer"}]


@pytest.mark.parametrize(
    "line", [b"{torn\n", b"\xff\xfe\x80\n", b"[1]\n", b"\n", b'{"step": 4}\n', b"null\n", b"\0\0\0\n"]
)
def test_a_damaged_line_is_skipped(run, line):
    append(run, step(1), line, step(2))
    assert EventReader(run).read() == [step(1), step(2)]


@pytest.mark.parametrize("at_once", [True, False])
def test_what_lies_behind_a_resumption_is_dropped(run, at_once):
    epoch = {"event": "epoch", "epoch": 1, "step": 2, "val_loss": 1.0, "val_accuracy": 0.5}
    end = {"event": "end", "step": 2, "reason": "stopped"}
    first = [{"event": "start", "step": 0}, step(1), step(2), epoch, end, step(3), step(4)]
    second = [{"event": "resume", "step": 2, "epoch": 1}, step(3), step(4), step(5)]
    reader = EventReader(run)
    append(run, *first)
    if not at_once:
        assert reader.read() == first
    append(run, *second)
    assert reader.read() == [{"event": "start", "step": 0}, step(1), step(2), epoch, *second]


def test_columns_hold_the_rows_that_have_all_names():
    events = [step(1), {"event": "step", "step": 2}, step(4), {"event": "epoch", "step": 4, "loss": 9}]
    assert column(events, "step", "step", "loss") == [[1, 4], [1.0, 0.25]]
    assert column(events, "step", "step") == [[1, 2, 4]]
    assert column([], "step", "step", "loss") == [[], []]


def test_curves_run_over_epochs_with_validation_at_its_place(run):
    events = [
        {"event": "start", "steps_per_epoch": 4},
        step(1),
        step(2),
        {"event": "validation", "step": 2, "val_loss": 0.9, "val_accuracy": 0.6},
        step(3),
        step(4),
        {"event": "epoch", "step": 4, "epoch": 1, "val_loss": 0.8, "val_accuracy": 0.7},
        step(5),
        {"event": "end", "reason": "stopped"},
    ]
    append(run, *events)
    curves = RunFollower(run).curves()
    assert curves.x.tolist() == [0.25, 0.5, 0.75, 1.0, 1.25]
    assert curves.loss.tolist() == [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5]
    assert curves.accuracy.tolist() == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert curves.val_x.tolist() == [0.5, 1.0]
    assert curves.val_loss.tolist() == [0.9, 0.8]
    assert curves.val_accuracy.tolist() == [0.6, 0.7]


def test_of_a_run_that_measured_nothing_the_curves_are_empty(run):
    follower = RunFollower(run)
    assert all(len(values) == 0 for values in vars(follower.curves()).values())
    assert follower.newest_step() is None


@pytest.mark.parametrize("looks", [1, 2, 3])
def test_a_follower_knows_what_a_reader_knows_however_often_it_looks(run, looks):
    """Through a resumption too, which takes back steps, checks and the newest step."""
    fast = [{**step(number), "images_per_second": 100.0 * number} for number in range(1, 8)]
    check = {"event": "validation", "step": 4, "val_loss": 0.9, "val_accuracy": 0.6}
    parts = [
        [{"event": "start", "steps_per_epoch": 4}, *fast[:4], check],
        [{"event": "resume", "step": 2, "epoch": 0, "checked": 0}],
        [fast[2], {"event": "step", "step": 4}, {**fast[4], "loss": 0.5}],
    ]
    follower, before = RunFollower(run), None
    for number, part in enumerate(parts):
        append(run, *part)
        if number >= len(parts) - looks:
            before, found = follower.curves(), follower.curves()
            assert found is before  # nothing new, nothing computed
    events = EventReader(run).read()
    steps, loss, accuracy = column(events, "step", "step", "loss", "accuracy")
    curves = follower.curves()
    assert (curves.x * 4).tolist() == steps == [1, 2, 3, 5]
    assert (curves.loss.tolist(), curves.accuracy.tolist()) == (loss, accuracy)
    assert len(curves.val_x) == 0
    assert follower.events() == [event for event in events if event["event"] != "step"]
    assert follower.newest_step() == events[-1]


def test_every_prefix_of_a_log_can_be_read(run):
    """A process may die at any byte."""
    lines = [{"event": "start", "steps_per_epoch": 2}, step(1), step(2), {"event": "resume", "step": 1}, step(2)]
    whole = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    for length, known in itertools.product(range(0, len(whole), 7), [True, False]):
        (run.folder / "metrics.jsonl").write_bytes(whole[:length])
        reader = EventReader(run)
        if known:
            reader.read()
        (run.folder / "metrics.jsonl").write_bytes(whole)
        assert reader.read() == [lines[0], step(1), lines[3], step(2)]
