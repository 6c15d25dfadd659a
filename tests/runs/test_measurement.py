"""Measurements in processes of their own: followed, waiting for a slot, cancelled, refused and kept."""

import io
import json
import os

import pytest

from mnist_core.errors import LabError, RunError
from mnist_core.runs import measure
from mnist_core.runs.measurement import Measurement, Measurements, key
from mnist_core.runs.queue import Slot
from mnist_core.runs.run import list_runs
from mnist_core.system.settings import data_folder, runs_folder
from tests.helpers import strict_json, until
from tests.helpers.runs import CONFIG


def begun(kind: str = "learning-rate", **settings: object) -> Measurement:
    return Measurement(kind, CONFIG.replace(**settings), runs_folder(), data_folder())


def answers(request: dict) -> list[dict]:
    """What a process would answer, of this one."""
    said = io.StringIO()
    measure.serve(io.StringIO(json.dumps(request) + "\n"), said, runs_folder(), data_folder())
    return [strict_json(line) for line in said.getvalue().splitlines()]


def test_a_process_measures_and_writes_no_run():
    found = begun()
    until(lambda: not found.running, 300)
    assert found.error == ""
    assert found.result["suggestion"] > 0
    assert len(found.result["rates"]) == len(found.result["losses"]) == len(found.result["smoothed"])
    assert found.share > 0
    assert list_runs() == []


def test_it_waits_while_a_training_has_the_slot_and_is_cancelled():
    runs_folder().mkdir(parents=True)
    slot = Slot(runs_folder())
    assert slot.acquire()
    found = begun()
    until(lambda: found.waiting, 300)
    found.cancel()
    until(lambda: found._process.poll() is not None)
    slot.release()
    assert not found.running
    assert (found.result, found.error) == (None, "")
    assert Slot(runs_folder()).acquire()  # nothing of it holds one


def test_a_killed_process_is_a_sentence():
    found = begun()
    os.kill(found._process.pid, 9)
    until(lambda: not found.running)
    assert "ended before its time" in found.error


@pytest.mark.parametrize(
    ("kind", "settings", "sentence"),
    [
        ("learning-rate", {"batch_size": 1024}, "too few for a range test"),
        ("learning-rate", {"dataset": "folder:/nowhere"}, "nowhere"),
        ("batch-size", {"train_share": 0.005}, "too few for batches"),
    ],
)
def test_what_cannot_be_measured_is_a_sentence(kind, settings, sentence):
    *_, last = answers({"kind": kind, "config": CONFIG.replace(**settings).model_dump(mode="json")})
    assert sentence in last["error"]
    assert Slot(runs_folder()).acquire()


class Pretended:
    """A measurement that a test ends."""

    def __init__(self, *given: object) -> None:
        self.given, self.running, self.cancelled = given, True, False

    def cancel(self) -> None:
        self.running, self.cancelled = False, True


def test_one_at_a_time_and_what_is_found_is_kept():
    known = Measurements(Pretended)
    where = CONFIG, runs_folder(), data_folder()
    first = known.start("learning-rate", CONFIG, "data", *where)
    with pytest.raises(RunError, match="Another measurement is under way"):
        known.start("batch-size", CONFIG, "data", *where)
    first.running = False
    assert known.find("learning-rate", CONFIG.replace(learning_rate=0.1, epochs=9), "data") is first
    assert known.find("learning-rate", CONFIG.replace(dropout=0.5), "data") is None
    assert known.find("learning-rate", CONFIG, "other data") is None
    assert known.find("batch-size", CONFIG, "data") is None
    second = known.start("batch-size", CONFIG, "data", *where)
    assert known.find("batch-size", CONFIG.replace(batch_size=512), "data") is second
    known.close()
    assert second.cancelled
    assert not first.cancelled
    assert known.find("batch-size", CONFIG, "data") is None


def test_the_range_test_depends_on_the_batch_size_and_the_seed():
    keys = {key("learning-rate", CONFIG.replace(**one), "") for one in ({}, {"batch_size": 64}, {"seed": 3})}
    assert len(keys) == 3


def test_no_process_can_be_started_is_a_sentence(monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr("mnist_core.runs.measurement.subprocess.Popen", refuse)
    with pytest.raises(LabError, match="Cannot allocate memory"):
        begun()
