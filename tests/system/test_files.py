import os
import threading

import pytest

from mnist_core.system.files import read_json, write_atomic, write_json


def test_what_is_written_is_read_and_nothing_lies_beside_it(tmp_path):
    path = tmp_path / "a.bin"
    write_atomic(path, b"first")
    write_atomic(path, bytes(range(256)))
    assert path.read_bytes() == bytes(range(256))
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file_only(tmp_path, monkeypatch, step):
    path = tmp_path / "a.bin"
    write_atomic(path, b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, full)
    with pytest.raises(OSError, match="No space left"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


def test_the_content_is_on_disk_before_the_name_points_to_it(tmp_path, monkeypatch):
    steps = []
    fsync, replace = os.fsync, os.replace

    def moved(source, target):
        if target.parent == tmp_path:  # a thread that an earlier test left behind may move files of its own
            steps.append(("replace", 0))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", lambda fd: (steps.append(("fsync", os.fstat(fd).st_size)), fsync(fd)))
    monkeypatch.setattr(os, "replace", moved)
    write_atomic(tmp_path / "a.bin", b"x" * 70_000)
    assert steps == [("fsync", 70_000), ("replace", 0)]


def test_a_reader_at_any_moment_finds_one_whole_version(tmp_path):
    path = tmp_path / "a.bin"
    versions = [bytes([letter]) * 300_000 for letter in b"ab"]
    write_atomic(path, versions[0])
    done = threading.Event()

    def write() -> None:
        for turn in range(60):
            write_atomic(path, versions[turn % 2])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not done.is_set():
        seen.add(path.read_bytes())
    writer.join()
    assert seen <= set(versions)


def test_json_and_back(tmp_path):
    value = {"name": "Ziffer «7» ×", "list": [1, 2.5, None, True], "nested": {"a": []}}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value
    assert "«7» ×" in (tmp_path / "a.json").read_text(encoding="utf-8")


def test_what_is_no_json_is_a_value_error(tmp_path):
    (tmp_path / "a.json").write_bytes(b'{"torn": ')
    (tmp_path / "b.json").write_bytes(b"\xff\xfe\x00")
    for name in ("a.json", "b.json"):
        with pytest.raises(ValueError, match=r"Expecting value|codec"):
            read_json(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "c.json")
