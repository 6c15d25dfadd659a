"""The columns beside a log: what is read through them is what the log says, whatever a kill or a disk did to them."""

import errno
import json
import os
import time

import numpy as np
import pytest

from mnist_core.config import TrainConfig
from mnist_core.runs import columns, history
from mnist_core.runs.columns import COLUMNS, ROW_BYTES, ColumnWriter, covered
from mnist_core.runs.history import EventLog, EventReader, HistoryReader
from mnist_core.runs.lines import parse_event, parse_line, read_lines
from mnist_core.runs.run import Run, create_run
from tests.helpers.events import append, change, end, epoch, resume, start, step, validation

EVENTS = [
    start(),
    *map(step, range(1, 5)),
    epoch(1),
    validation(5),
    *map(step, range(5, 8)),
    change(7),
    resume(4, epoch=1, checked=0),
    *map(step, range(5, 9)),
    epoch(2),
    end(),
]


@pytest.fixture
def run(tmp_path) -> Run:
    return create_run(TrainConfig(dataset="digits"), tmp_path)


def write(run: Run, events: list[dict]) -> None:
    with EventLog(run.metrics_path) as log:
        for event in events:
            log.add(event)
            log.flush()


def file(run: Run):
    return run.folder / COLUMNS


def same(run: Run, most_parsed: int | None = None, monkeypatch=None) -> None:
    """A new reader finds what the log says; with `most_parsed`, without reading more of its steps than that."""
    told = EventReader(run).read()
    parsed = []
    if most_parsed is not None:
        monkeypatch.setattr(history, "parse_line", lambda line: parsed.append(line) or parse_line(line))
    reader = HistoryReader(run)
    train = reader.history().train
    steps = [event for event in told if event["event"] == "step"]
    assert train.step.tolist() == [event["step"] for event in steps]
    assert train.loss.tolist() == [event["loss"] for event in steps]
    assert train.accuracy.tolist() == [event["accuracy"] for event in steps]
    assert reader.events() == [event for event in told if event["event"] != "step"]
    taken_back = not steps or told[-1]["event"] == "resume"
    assert reader.newest_step() == (None if taken_back else steps[-1])
    assert most_parsed is None or len(parsed) <= most_parsed


def test_a_run_is_read_from_the_columns_it_wrote(run, monkeypatch):
    write(run, EVENTS)
    assert file(run).stat().st_size == ROW_BYTES * len(EVENTS)
    same(run, 0, monkeypatch)


def test_more_rows_than_are_read_at_once_are_all_read(run, monkeypatch):
    monkeypatch.setattr(columns, "_ROWS", 3)
    write(run, EVENTS)
    same(run, 0, monkeypatch)


def test_a_log_of_any_length_with_columns_of_any_length_is_read(run):
    """A process may die at any byte of either; the columns may even outlive the log, by a loss of power."""
    write(run, EVENTS)
    log, rows = run.metrics_path.read_bytes(), file(run).read_bytes()
    for length in range(0, len(log), 97):
        for size in range(0, len(rows), 41):
            run.metrics_path.write_bytes(log[:length])
            file(run).write_bytes(rows[:size])
            same(run)


def test_a_run_that_goes_on_completes_torn_columns(run, monkeypatch):
    write(run, EVENTS[:-1])
    file(run).write_bytes(file(run).read_bytes()[: 5 * ROW_BYTES + 7])
    append(run, b'{"event": "st')
    write(run, EVENTS[-1:])
    assert file(run).stat().st_size == ROW_BYTES * len(EVENTS)
    same(run, 0, monkeypatch)


def test_a_whole_event_without_its_line_end_is_not_lost(run, monkeypatch):
    write(run, EVENTS[:3])
    append(run, json.dumps(step(3)).encode())
    write(run, [step(4)])
    same(run, 0, monkeypatch)


@pytest.mark.parametrize("damage", [b"\0" * 100_000, os.urandom(ROW_BYTES * 9), b""])
def test_damaged_columns_are_void_and_are_written_anew(run, damage):
    write(run, EVENTS[:8])
    file(run).write_bytes(damage)
    same(run)
    write(run, EVENTS[8:])
    same(run)
    assert covered(run.metrics_path, file(run)) == (len(EVENTS), run.metrics_path.stat().st_size)


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("value", [0.0, -5.0, np.inf, np.nan, 1e9])
def test_a_damaged_row_at_the_end_is_not_believed(run, place, value):
    write(run, EVENTS[:9])
    rows = np.fromfile(file(run)).reshape(-1, 4)
    rows[-1, place] = value
    rows.tofile(file(run))
    same(run)


def test_columns_of_another_log_are_not_believed(run):
    write(run, EVENTS)
    other = [{**event, "step": event["step"] + 1} if event["event"] == "step" else event for event in EVENTS]
    run.metrics_path.write_bytes(b"".join(json.dumps(event).encode() + b"\n" for event in other))
    same(run)


def test_what_the_columns_lack_is_read_from_the_log(run, monkeypatch):
    write(run, EVENTS[:9])
    append(run, *EVENTS[9:])
    same(run, len(EVENTS) - 9, monkeypatch)


def test_a_long_log_of_an_ended_run_gets_columns_when_it_is_read(run, monkeypatch):
    append(run, *EVENTS)
    monkeypatch.setattr(history, "_MUCH", 100)
    same(run)
    assert not file(run).exists()  # the run is queued: who executes it writes them
    run.finish("completed")
    same(run)
    assert file(run).stat().st_size == ROW_BYTES * len(EVENTS)
    same(run, 0, monkeypatch)
    assert [path.name for path in run.folder.glob(".metrics*")] == []


def test_a_folder_that_refuses_columns_is_read_from_its_log(run, monkeypatch):
    append(run, *EVENTS)
    run.finish("completed")
    monkeypatch.setattr(history, "_MUCH", 100)

    def refused(*_: object) -> None:
        raise OSError(errno.EROFS, "read-only")

    monkeypatch.setattr(history, "rebuild", refused)
    same(run)


@pytest.mark.parametrize("taken", [0, 5, ROW_BYTES])
def test_a_full_disk_costs_columns_and_no_line_of_the_log(run, monkeypatch, taken):
    class Full:
        def __init__(self, inner) -> None:
            self._inner = inner

        def __getattr__(self, name):
            return getattr(self._inner, name)

        def write(self, content: bytes) -> int:
            return self._inner.write(content[:taken])

    with monkeypatch.context() as patched:
        fdopen = os.fdopen
        patched.setattr(columns.os, "fdopen", lambda *args, **more: Full(fdopen(*args, **more)))
        write(run, EVENTS[:8])
    same(run)
    assert len(EventReader(run).read()) == 8
    write(run, EVENTS[8:])
    same(run)
    assert file(run).stat().st_size == ROW_BYTES * len(EVENTS)


def test_a_link_in_place_of_the_columns_is_not_followed(run, tmp_path):
    (tmp_path / "mine").write_bytes(b"mine")
    file(run).symlink_to(tmp_path / "mine")
    write(run, EVENTS)
    assert (tmp_path / "mine").read_bytes() == b"mine"
    same(run)


def test_a_writer_catches_up_with_the_log(run):
    append(run, *EVENTS)
    ColumnWriter(run.metrics_path).close()
    assert covered(run.metrics_path, file(run)) == (len(EVENTS), run.metrics_path.stat().st_size)


def test_a_history_that_was_looked_at_does_not_change(run):
    write(run, EVENTS[:8])
    reader = HistoryReader(run)
    before = reader.history()
    kept = before.train.step.tolist()
    for _ in range(3):
        append(run, resume(2), *map(step, range(3, 9)))
        reader.history()
    assert before.train.step.tolist() == kept
    same(run)


def test_100_000_steps_take_little_memory_and_time(run):
    """A dict a step would take 50 MB and more."""
    import tracemalloc

    with run.metrics_path.open("w") as log:
        log.writelines(json.dumps(event) + "\n" for event in [start(), *map(step, range(1, 100_001))])
    ColumnWriter(run.metrics_path).close()
    begun = time.perf_counter()
    tracemalloc.start()
    HistoryReader(run).history()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 9_000_000  # five numbers a step are 4 MB
    assert time.perf_counter() - begun < 1


# ---- lines ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"loss": 0},
        {"loss": -0.0},
        {"loss": 1e-05},
        {"loss": 5e-324},
        {"loss": 1e16},
        {"loss": float("nan")},
        {"rate": 0},
        {"rate": -1},
        {"lr": 1e300},
        {"step": 10**16},
        {"step": 1.5},
        {"further": 1},
    ],
)
def test_a_step_is_read_quickly_as_it_is_slowly(more):
    line = json.dumps(step(7, **more)).encode() + b"\n"
    event = parse_event(line)
    assert parse_line(line) == (event and (event["step"], event["loss"], event["accuracy"]))


@pytest.mark.parametrize("number", ["01", "+1", ".5", "1.", "1e", "0x1", "١"])
def test_what_is_no_json_number_is_no_step(number):
    line = json.dumps(step(7)).replace('"lr": 0.1', f'"lr": {number}').encode() + b"\n"
    assert parse_line(line) is parse_event(line) is None


def test_lines_of_any_length_are_read_in_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr("mnist_core.runs.lines._BLOCK", 7)
    path = tmp_path / "log"
    path.write_bytes(b"a\nbb\n\n" + b"c" * 40 + b"\nd\r\ne\rtorn")
    assert list(read_lines(path)) == [
        (2, b"a\n"),
        (5, b"bb\n"),
        (6, b"\n"),
        (47, b"c" * 40 + b"\n"),
        (50, b"d\r\n"),
    ]
    assert list(read_lines(path, 5)) == list(read_lines(path))[2:]
