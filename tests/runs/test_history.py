"""What is written line by line, what of it counts after a kill, and the curves that are read from it."""

import errno
import itertools
import json
import os

import numpy as np
import pytest

from mnist_core.config import TrainConfig
from mnist_core.runs.history import EventLog, EventReader, HistoryReader, parse_event, precedes, seconds_at
from mnist_core.runs.run import Run, create_run
from tests.helpers.events import append, change, end, epoch, resume, start, step, validation


@pytest.fixture
def run(tmp_path) -> Run:
    return create_run(TrainConfig(dataset="digits"), tmp_path)


# ---- writing --------------------------------------------------------------------------------------------------------


def test_a_torn_line_is_ended_before_the_next_event(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"event": "st')
    with EventLog(path) as log:
        assert log.resumed
        log.add(resume(3))
        log.flush()
    assert path.read_text() == '{"event": "st\n{"event": "resume", "step": 3}\n'


def test_a_new_log_is_empty_until_a_flush(tmp_path):
    with EventLog(tmp_path / "metrics.jsonl") as log:
        assert not log.resumed
        log.add(start())
        assert (tmp_path / "metrics.jsonl").read_bytes() == b""


def test_a_write_that_breaks_off_is_continued_exactly_there(tmp_path, monkeypatch):
    log, write, room = EventLog(tmp_path / "metrics.jsonl"), os.write, [5]

    def little(file: int, content: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "full")
        taken = write(file, content[: room[0]])
        room[0] -= taken
        return taken

    monkeypatch.setattr(os, "write", little)
    log.add(resume(1))
    with pytest.raises(OSError, match="full"):
        log.flush()
    assert (tmp_path / "metrics.jsonl").read_bytes() == b'{"eve'
    log.add(resume(2))
    room[0] = 1000
    log.sync()
    assert (
        tmp_path / "metrics.jsonl"
    ).read_text() == '{"event": "resume", "step": 1}\n{"event": "resume", "step": 2}\n'


# ---- reading: events ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", [start(), step(1), validation(1), epoch(1), change(1), resume(1), end()])
def test_a_whole_event_of_every_kind_is_read(event):
    assert parse_event(json.dumps(event).encode()) == event


@pytest.mark.parametrize(
    "event",
    [
        step(1, step=True),
        step(1, step="1"),
        step(1, loss=float("nan")),
        step(1, loss=float("inf")),
        step(1, loss=None),
        step(1, step=10**400),
        step(1, step=10**16),
        step(1, rate=0),
        {"event": "step", "step": 1},
        start(steps_per_epoch=0),
        start(train_images="many"),
        epoch(1, val_loss={}),
        change(1, field="epochs"),
        end(test_accuracy="good"),
        resume(1, note=7),
        {"event": ["step"]},
        {"event": "holiday"},
        {"step": 1},
        [],
        None,
    ],
)
def test_anything_but_a_whole_event_is_not_read(event):
    assert parse_event(json.dumps(event).encode()) is None


def test_text_that_cannot_be_written_is_not_read():
    assert parse_event(b'{"event": "resume", "step": 1, "note": "half a character: \\ud800"}') is None


def test_events_after_the_saved_state_do_not_precede_a_resume():
    """Saved after the fourth and last step of the first epoch, before its validation."""
    resumption = resume(4, epoch=0, checked=2)
    assert all(precedes(event, resumption) for event in (step(4), validation(2), start()))
    assert not any(precedes(event, resumption) for event in (step(5), epoch(1), validation(4), end(step=4)))
    assert precedes(epoch(1), {**resumption, "epoch": 1})


def test_only_what_was_added_is_read_again(run):
    reader = EventReader(run)
    assert reader.read() == []
    append(run, step(1))
    assert reader.read() == reader.read() == [step(1)]
    whole = run.metrics_path.read_bytes()
    run.metrics_path.write_bytes(b" " * len(whole))  # what was read is gone, and is not missed
    append(run, step(2), step(3))
    assert reader.read() == [step(1), step(2), step(3)]


@pytest.mark.parametrize("cut", [1, 20, -1])
def test_a_torn_last_line_is_read_when_it_is_whole(run, cut):
    line = json.dumps(resume(2, note="größer"), ensure_ascii=False).encode() + b"\n"
    reader = EventReader(run)
    append(run, step(1), line[:cut])
    assert reader.read() == [step(1)]
    append(run, line[cut:])
    assert reader.read() == [step(1), resume(2, note="größer")]


@pytest.mark.parametrize("line", [b"{torn", b"\xff\xfe\x80", b"[1]", b"", b"null", b"\0\0\0", b"[" * 99_999])
def test_a_damaged_line_is_skipped(run, line):
    append(run, step(1), line, b"\n", step(2))
    assert EventReader(run).read() == [step(1), step(2)]


@pytest.mark.parametrize("at_once", [True, False])
def test_events_behind_a_resumption_are_dropped(run, at_once):
    first = [start(), *map(step, range(1, 5)), epoch(1), end(step=4), step(5), step(6)]
    second = [resume(4, epoch=1), step(5), step(6), step(7)]
    reader = EventReader(run)
    append(run, *first)
    if not at_once:
        assert reader.read() == first
    append(run, *second)
    assert reader.read() == [start(), *map(step, range(1, 5)), epoch(1), *second]


def test_every_prefix_of_a_log_can_be_read(run):
    """A process may die at any byte."""
    lines = [start(), step(1), step(2), resume(1), step(2)]
    whole = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    for length, known in itertools.product(range(0, len(whole), 7), [True, False]):
        run.metrics_path.write_bytes(whole[:length])
        reader = EventReader(run)
        if known:
            reader.read()
        run.metrics_path.write_bytes(whole)
        assert reader.read() == [start(), step(1), resume(1), step(2)]


# ---- reading: curves ------------------------------------------------------------------------------------------------


def test_curves_run_over_epochs_with_validation_at_its_place(run):
    append(run, start(), step(1), step(2), validation(2), step(3), step(4), epoch(1, loss=0.8), step(5), end(step=5))
    history = HistoryReader(run).history()
    assert history.train.epoch.tolist() == [0.25, 0.5, 0.75, 1.0, 1.25]
    assert history.train.loss.tolist() == [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5]
    assert history.train.accuracy.tolist() == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert history.validation.epoch.tolist() == [0.5, 1.0]
    assert history.validation.loss.tolist() == [0.9, 0.8]
    assert history.validation.accuracy.tolist() == [0.6, 0.9]


def test_changes_have_their_place_and_their_words(run):
    append(run, start(), step(1), step(2), change(2), change(2, "rotation", 0.0, 5.0), epoch(1, 8.0))
    (made,) = HistoryReader(run).history().changes
    assert (made.step, made.epoch, made.seconds) == (2, 0.5, 4.0)
    assert made.label == "dropout 0.1 → 0.2<br>rotation 0 → 5"


def test_a_run_without_measurements_has_an_empty_history(run):
    reader = HistoryReader(run)
    assert all(len(values) == 0 for values in vars(reader.history().train).values())
    assert len(reader.history().validation.step) == 0
    assert (reader.newest_step(), reader.start()) == (None, None)


@pytest.mark.parametrize("looks", [1, 2, 3])
def test_however_often_one_looks_the_history_is_the_same(run, looks):
    """Through a resumption too, which takes back steps, validations and the newest step."""
    parts = [
        [start(), *(step(number, 100.0 * number) for number in range(1, 5)), validation(4)],
        [resume(2, epoch=0, checked=0)],
        [step(3, 300.0), {"event": "step", "step": 4}, step(5, 500.0, loss=0.5)],
    ]
    reader = HistoryReader(run)
    for number, part in enumerate(parts):
        append(run, *part)
        if number >= len(parts) - looks:
            assert reader.history() is reader.history()  # nothing new, nothing computed
    events = EventReader(run).read()
    steps = [event for event in events if event["event"] == "step"]
    train = reader.history().train
    assert train.step.tolist() == [event["step"] for event in steps] == [1, 2, 3, 5]
    assert train.loss.tolist() == [event["loss"] for event in steps]
    assert len(reader.history().validation.step) == 0
    assert reader.events() == [event for event in events if event["event"] != "step"]
    assert reader.newest_step() == events[-1]


def test_time_is_exact_at_epoch_ends_and_even_between_them():
    events = [start(), epoch(1, 8.0), epoch(2, 10.0)]
    np.testing.assert_allclose(seconds_at(events, [0, 1, 2, 4, 6, 8]), [0, 2, 4, 8, 13, 18])


def test_an_unfinished_epoch_goes_on_at_the_given_rate():
    # 400 images in 4 steps, 50 images a second: 2 s a step
    np.testing.assert_allclose(seconds_at([start(), epoch(1, 8.0)], [4, 5, 6], rate=50.0), [8, 10, 12])
    np.testing.assert_allclose(seconds_at([start()], [1], rate=50.0), [2])


def test_a_stopped_run_says_when_it_ended():
    events = [start(), epoch(1, 8.0), end(step=6, train_seconds=9.0)]
    np.testing.assert_allclose(seconds_at(events, [5, 6]), [8.5, 9])
