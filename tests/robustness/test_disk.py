"""A disk that is full or refuses to be written: the run pauses and says so, loses nothing, and goes on when told to."""

import contextlib
import errno
import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest

from mnist_core.errors import RunError
from mnist_core.models.checkpoint import is_whole, read_card
from mnist_core.runs.execute import execute
from mnist_core.runs.history import EventReader
from mnist_core.runs.queue import Queue
from mnist_core.runs.run import Run, create_run
from mnist_core.runs.worker import serve
from mnist_core.system.files import disk_error_sentence, pending_disk_error
from mnist_core.training.resume import PREVIOUS, RESUME, load_resume
from tests.helpers import flipped, until
from tests.helpers.runs import RESUMABLE, timeless, written


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Run:
    run = create_run(RESUMABLE, tmp_path_factory.mktemp("whole"))
    execute(run)
    return run


@contextlib.contextmanager
def executing(run: Run):
    thread = threading.Thread(target=execute, args=(run,))
    thread.start()
    try:
        yield thread
    finally:
        if thread.is_alive():
            run.command("stop")
        thread.join(60)
        assert not thread.is_alive()


class Disk:
    """Refuses writes of the named files from the `begin`-th on, as long as `full`; counts what it refused."""

    def __init__(self, monkeypatch, name: str, begin: int, error: int = errno.ENOSPC) -> None:
        self.full, self.refused, self._seen, self._error = True, 0, 0, error
        self._name, self._begin = name, begin
        opened, write = Path.open, os.write

        def refusing_open(path: Path, mode: str = "r", *rest: object, **options: object):
            if mode == "wb" and path.name.startswith(f".{name}."):
                self._ask(name)
            return opened(path, mode, *rest, **options)

        def refusing_write(file: int, content: bytes) -> int:
            if content.startswith((b'{"event"', b"\n")):
                self._ask("metrics.jsonl")
            return write(file, content)

        monkeypatch.setattr(Path, "open", refusing_open)
        monkeypatch.setattr(os, "write", refusing_write)

    def _ask(self, name: str) -> None:
        if name != self._name:
            return
        self._seen += 1
        if self.full and self._seen >= self._begin:
            self.refused += 1
            raise OSError(self._error, os.strerror(self._error))


def assert_as_if_nothing_had_been(run: Run, whole: Run) -> None:
    assert run.status().state == "completed", run.status().reason
    assert timeless(run) == timeless(whole)
    assert "resume" not in [event["event"] for event in written(run)]  # the process and all it held lived on
    assert read_card(run.checkpoint()).weights_sha256 == read_card(whole.checkpoint()).weights_sha256
    assert read_card(run.checkpoint()).metrics == read_card(whole.checkpoint()).metrics
    assert not list(run.folder.rglob("*.tmp"))


# the n-th write of each file: the first ones, some amid the training, and those of the last evaluation
@pytest.mark.parametrize(
    ("name", "begin"),
    [
        ("metrics.jsonl", 1),
        ("metrics.jsonl", 20),
        ("metrics.jsonl", 35),
        (RESUME, 1),
        (RESUME, 2),
        ("model.safetensors", 1),
        ("model.safetensors", 3),
        ("card.json", 2),
        ("card.json", 4),
    ],
)
def test_a_run_paused_by_a_full_disk_resumes_to_the_same_result(tmp_path, monkeypatch, whole, name, begin):
    run = create_run(RESUMABLE, tmp_path)
    disk = Disk(monkeypatch, name, begin)
    with executing(run) as thread:
        until(lambda: run.status().state == "paused")
        assert run.status().reason == "The disk is full. Free some space and press Resume: nothing is lost."
        assert all(is_whole(folder) for folder in run.checkpoints())
        refused_before = disk.refused
        run.command("run")
        until(lambda: disk.refused > refused_before and run.status().state == "paused")
        disk.full = False
        run.command("run")
        thread.join(60)
    assert_as_if_nothing_had_been(run, whole)


@pytest.mark.parametrize("begin", [1, 2])
def test_a_refused_status_is_written_when_possible(tmp_path, monkeypatch, whole, begin):
    """`running` and `completed`; meanwhile the status on disk is an older one, of a living process."""
    run = create_run(RESUMABLE, tmp_path)
    disk = Disk(monkeypatch, "status.json", begin)
    with executing(run) as thread:
        until(lambda: disk.refused > 1)
        assert run.status().state == ("queued" if begin == 1 else "running")
        assert run.is_executed()
        disk.full = False
        until(lambda: run.status().state == "paused")
        assert "The disk is full" in run.status().reason
        run.command("run")
        thread.join(60)
    assert_as_if_nothing_had_been(run, whole)


def test_stop_on_a_full_disk_keeps_what_was_saved(tmp_path, monkeypatch, whole):
    run = create_run(RESUMABLE, tmp_path)
    disk = Disk(monkeypatch, RESUME, 2)
    with executing(run) as thread:
        until(lambda: run.status().state == "paused")
        run.command("stop")
        thread.join(60)
    assert run.status().state == "stopped"
    assert "go on from the last state that was saved" in run.status().reason
    assert load_resume(run.folder)[0]["position"][0] == 1
    disk.full = False
    run.command("run")
    execute(run)
    assert run.status().state == "completed"
    assert timeless(run) == timeless(whole)


def test_a_stop_that_cannot_be_saved_waits_for_disk_space(tmp_path, monkeypatch):
    run = create_run(RESUMABLE, tmp_path)
    disk = Disk(monkeypatch, RESUME, 1)
    run.set_status("running")
    with executing(run) as thread:
        until(lambda: disk.refused > 0)
        disk.full = False
        run.command("stop")
        thread.join(60)
    assert run.status().state == "stopped"
    assert run.status().reason == "Stopped by hand."
    assert load_resume(run.folder)[0]["position"][0] == 1


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (errno.ENOSPC, "The disk is full. Free some space"),
        (errno.EROFS, "cannot be written. Make it writable"),
        (errno.EACCES, "cannot be written. Make it writable"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_a_disk_error_is_explained_in_a_sentence(error, said):
    assert said in disk_error_sentence(OSError(error, os.strerror(error)))


def test_a_run_that_cannot_be_created_leaves_nothing(tmp_path, monkeypatch):
    Disk(monkeypatch, "config.json", 1)
    with pytest.raises(RunError, match="No space left"):
        create_run(RESUMABLE, tmp_path)
    assert not list(tmp_path.iterdir())


# ---- a disk that is really full, or really read-only ----------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    """mount(options) → a file system of its own in memory."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(options: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("file systems cannot be mounted here")
        return folder

    yield mount
    subprocess.run(["umount", "-l", str(folder)], capture_output=True)


def test_on_a_disk_that_is_full_a_run_waits_for_room(small_disk, whole):
    disk = small_disk("size=16m")
    run = create_run(RESUMABLE, disk)
    assert pending_disk_error(run.folder) is None
    filler = disk / "filler"
    with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as file:
        for _ in range(10_000):
            file.write(b"x" * 4096)
    with executing(run) as thread:
        until(lambda: isinstance(pending_disk_error(run.folder), OSError))
        assert "The disk is full" in disk_error_sentence(pending_disk_error(run.folder))
        until(lambda: run.status().state == "queued" and thread.is_alive() and run.is_executed())
        filler.unlink()
        until(lambda: run.status().state in ("paused", "completed"))
        run.command("run")
        thread.join(60)
    assert_as_if_nothing_had_been(run, whole)


def test_a_worker_waits_for_a_disk_that_is_read_only(small_disk, whole):
    disk, abandoned = small_disk("size=16m"), threading.Event()
    run = create_run(RESUMABLE, disk)
    Queue(disk).add(run)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    thread = threading.Thread(target=serve, args=(disk, disk, abandoned, threading.Lock()))
    try:
        assert "Make it writable" in disk_error_sentence(pending_disk_error(run.folder))
        with pytest.raises(RunError, match="Read-only"):
            run.command("run")
        execute(run)  # as the command line does: it can do nothing, and ends
        thread.start()
        time.sleep(0.5)
        assert thread.is_alive()
        assert run.status().state == "queued"
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    abandoned.set()
    thread.join(60)
    assert_as_if_nothing_had_been(run, whole)


# ---- what was damaged afterwards ------------------------------------------------------------------------------------


def test_a_damaged_state_falls_back_to_the_previous_one(tmp_path, whole):
    run = create_run(RESUMABLE, tmp_path)
    shutil.copytree(whole.folder, run.folder, dirs_exist_ok=True)
    content = (run.folder / RESUME).read_bytes()
    (run.folder / RESUME).write_bytes(flipped(content, len(content) // 2))
    execute(run)
    assert run.status().state == "completed", run.status().reason
    assert timeless(run) == timeless(whole)
    (resumption,) = [event for event in EventReader(run).read() if event["event"] == "resume"]
    assert resumption["epoch"] == 2
    assert "damaged" in resumption["note"]
    assert load_resume(run.folder)[1] == ""
    assert (run.folder / PREVIOUS).exists()


def test_a_damaged_last_checkpoint_is_rebuilt_from_the_state(tmp_path, whole):
    run = create_run(RESUMABLE, tmp_path)
    shutil.copytree(whole.folder, run.folder, dirs_exist_ok=True)
    weights = run.checkpoint() / "model.safetensors"
    good = weights.read_bytes()
    weights.write_bytes(good[:1000])
    assert run.checkpoint().name == "epoch-002"
    assert "epoch-003 of this run is damaged" in run.damage()
    execute(run)
    assert run.checkpoint().name == "epoch-003"
    assert run.damage() == ""
    assert weights.read_bytes() == good
    assert read_card(run.checkpoint()).metrics == read_card(whole.checkpoint()).metrics


def test_leftovers_go_but_what_others_write_stays(tmp_path, whole):
    run = create_run(RESUMABLE, tmp_path)
    rubbish = [run.folder / ".resume.pt.1-ab.tmp", run.folder / "checkpoints" / "epoch-001" / ".card.json.1-ab.tmp"]
    rubbish[1].parent.mkdir()
    kept = [run.folder / ".control.json.1-ab.tmp", run.folder / ".meta.json.1-ab.tmp"]
    for path in (*rubbish, *kept):
        path.write_text("torn")
    execute(run)
    assert not any(path.exists() for path in rubbish)
    assert all(path.exists() for path in kept)
