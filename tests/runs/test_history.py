"""What is written line by line, and what of it counts after a kill."""

import errno
import itertools
import json
import os

import pytest

from mnist_core.runs.history import EventLog, EventReader, RunFollower, column, is_event, precedes
from mnist_core.runs.run import Run


def test_a_line_that_a_kill_has_torn_is_ended_and_the_next_stands_alone(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"event": "st')
    with EventLog(path) as log:
        assert log.resumed
        log.add({"event": "resume", "step": 3})
        log.flush()
    assert path.read_text() == '{"event": "st\n{"event": "resume", "step": 3}\n'


def test_a_new_log_is_not_resumed_and_holds_nothing_before_a_flush(tmp_path):
    with EventLog(tmp_path / "metrics.jsonl") as log:
        assert not log.resumed
        log.add({"event": "start"})
        assert (tmp_path / "metrics.jsonl").read_bytes() == b""


def test_a_log_whose_write_breaks_off_goes_on_exactly_there(tmp_path, monkeypatch):
    log, write, room = EventLog(tmp_path / "metrics.jsonl"), os.write, [5]

    def little(file: int, content: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "full")
        taken = write(file, content[: room[0]])
        room[0] -= taken
        return taken

    monkeypatch.setattr(os, "write", little)
    log.add({"event": "step", "step": 1})
    with pytest.raises(OSError, match="full"):
        log.flush()
    assert (tmp_path / "metrics.jsonl").read_bytes() == b'{"eve'
    log.add({"event": "step", "step": 2})
    room[0] = 1000
    log.sync()
    assert (tmp_path / "metrics.jsonl").read_text() == '{"event": "step", "step": 1}\n{"event": "step", "step": 2}\n'


@pytest.mark.parametrize(
    ("value", "counts"),
    [
        ({"event": "step", "step": 1, "loss": 0.5}, True),
        ({"event": "change", "step": 1, "field": "dropout", "from": 0.1, "to": 0.2}, True),
        ({"event": "step", "step": True}, False),
        ({"event": "step", "step": "1"}, False),
        ({"event": "step", "loss": float("nan")}, False),
        ({"event": "step", "loss": float("inf")}, False),
        ({"event": "step", "step": 10**400}, False),
        ({"event": "start", "steps_per_epoch": 0}, False),
        ({"event": ["step"]}, False),
        ({"event": "resume", "step": 1, "note": "half a character: \ud800"}, False),
        ({"step": 1}, False),
        ([], False),
    ],
)
def test_an_event_has_a_kind_and_finite_numbers_where_numbers_belong(value, counts):
    assert is_event(value) == counts


def test_what_the_saved_state_did_not_know_of_did_not_happen_before_it():
    """Saved after the ninth and last step of the first epoch, before its validation."""
    resumption = {"event": "resume", "step": 9, "epoch": 0, "checked": 5}
    before = [{"event": "step", "step": 9}, {"event": "validation", "step": 5}, {"event": "start", "step": 0}]
    after = [
        {"event": "step", "step": 10},
        {"event": "epoch", "step": 9, "epoch": 1},
        {"event": "validation", "step": 9},
        {"event": "end", "step": 9},
    ]
    assert all(precedes(event, resumption) for event in before)
    assert not any(precedes(event, resumption) for event in after)
    assert precedes({"event": "epoch", "step": 9, "epoch": 1}, {**resumption, "epoch": 1})


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
