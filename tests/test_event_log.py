"""What is written line by line, and what of it counts after a kill."""

import errno
import os

import pytest

from mnist_core.runs.history import EventLog, is_event, precedes


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
