"""The download against a web server of our own on 127.0.0.1, with small files in MNIST's real format."""

from __future__ import annotations

import errno
import gzip
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest

from mnist_core.data.download import DownloadStep, download
from mnist_core.data.mirrors import Source
from mnist_core.data.packed import Resource
from mnist_core.errors import DataError
from tests.helpers.mirror import ARRAYS, LOCK, PACKED, RESOURCES, UNPACKED, Answer, Server, body, resource

IMAGES = RESOURCES[0].filename


def redirect(url: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(302)
        request.send_header("Location", url)
        request.end_headers()

    return answer


def source(server: Server, resources: Sequence[Resource] = RESOURCES, mirrors: Sequence[str] | None = None) -> Source:
    return Source("MNIST", "MNIST/raw", tuple(server.mirrors if mirrors is None else mirrors), tuple(resources))


def fetch(data_dir: Path, server: Server, timeout_s: float = 5.0, **changes: object) -> list[DownloadStep]:
    return list(download("mnist", data_dir, source(server, **changes), timeout_s))


def failure(data_dir: Path, server: Server, **changes: object) -> str:
    with pytest.raises(DataError) as caught:
        fetch(data_dir, server, **changes)
    return str(caught.value)


def on_disk(data_dir: Path) -> dict[str, bytes]:
    """Everything in the raw folder but the lock."""
    return {path.name: path.read_bytes() for path in (data_dir / "MNIST" / "raw").iterdir() if path.name != LOCK}


def test_complete_download_is_what_torchvision_reads(tmp_path, server):
    from torchvision.datasets import MNIST

    seen = fetch(tmp_path / "new", server)
    assert on_disk(tmp_path / "new") == UNPACKED
    for train, part in ((True, "train"), (False, "t10k")):
        dataset = MNIST(tmp_path / "new", train=train)
        assert np.array_equal(dataset.data.numpy(), ARRAYS[f"{part}-images-idx3-ubyte"])
        assert np.array_equal(dataset.targets.numpy(), ARRAYS[f"{part}-labels-idx1-ubyte"])
    assert server.asked == [f"/a/{name}" for name in PACKED]

    assert [p.file_index for p in seen] == sorted(p.file_index for p in seen)
    for index, (name, packed) in enumerate(PACKED.items(), start=1):
        of_file = [p for p in seen if p.file == name]
        assert {(p.file_index, p.file_count, p.mirror) for p in of_file} == {(index, 4, server.mirrors[0])}
        done = [p.done_bytes for p in of_file]
        assert done == sorted(done)
        assert (done[0], done[-1], of_file[-1].total_bytes) == (0, len(packed), len(packed))


def test_files_are_as_readable_as_others(tmp_path, server):
    fetch(tmp_path, server)
    (tmp_path / "other").touch()
    assert (tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte").stat().st_mode == (
        tmp_path / "other"
    ).stat().st_mode


def test_progress_comes_while_bytes_arrive_but_not_too_often(tmp_path, server):
    packed = PACKED[IMAGES]

    def drip(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(packed)))
        request.end_headers()
        for start in range(0, len(packed), len(packed) // 50):
            request.wfile.write(packed[start : start + len(packed) // 50])
            time.sleep(0.01)

    server.answers[f"/a/{IMAGES}"] = drip
    began = time.monotonic()
    seen = fetch(tmp_path, server, resources=RESOURCES[:1])
    between = [p for p in seen if 0 < p.done_bytes < len(packed)]
    assert len(between) >= 3
    assert len(seen) <= 10 * (time.monotonic() - began) + 4
    assert {p.total_bytes for p in between} == {len(packed)}


def test_a_download_of_unknown_length_succeeds(tmp_path, server):
    server.answers[f"/a/{IMAGES}"] = body(PACKED[IMAGES], length=-1)
    seen = [p for p in fetch(tmp_path, server) if p.file == IMAGES]
    assert seen[1].total_bytes is None
    assert seen[-1].done_bytes == seen[-1].total_bytes == len(PACKED[IMAGES])
    assert on_disk(tmp_path) == UNPACKED


def corrupt(name: str) -> bytes:
    return PACKED[name][:-1] + bytes([PACKED[name][-1] ^ 1])


FIRST_MIRROR_FAILS: dict[str, tuple[Callable[[Server], Answer], str]] = {
    "missing": (lambda _: body(b"no", status=404), "HTTP 404"),
    "server error": (lambda _: body(b"no", status=503), "HTTP 503"),
    "corrupt": (lambda _: body(corrupt(IMAGES)), "wrong checksum"),
    "another file": (lambda _: body(b"<html>log in to this network first</html>"), "wrong checksum"),
    "empty": (lambda _: body(b""), "wrong checksum"),
    "nothing of much": (lambda _: body(b"", length=100), "broke off after 0 of 100 bytes"),
    "truncated": (lambda _: body(PACKED[IMAGES][:5000], len(PACKED[IMAGES])), "broke off after 5,000 of"),
    "too large": (lambda _: body(b"", length=2**40), "larger than 67 MB"),
    "silent": (lambda server: lambda _: server.release.wait(10) and None, r"no answer within 1 s"),
    "stalled": (lambda server: server.half_then_hang(PACKED[IMAGES]), r"no answer within 1 s"),
    "hangs up": (lambda _: lambda _: None, "closed connection without response"),
    "no http": (lambda _: lambda request: request.wfile.write(b"SSH-2\x1b\n"), r": SSH-2\)"),
    "no http, at length": (lambda _: lambda request: request.wfile.write(b"x" * 50_000 + b"\n"), r": x{100}\)"),
    "redirect to ftp": (lambda _: redirect("ftp://127.0.0.1/x"), "unknown url type"),
    "redirect to a file": (lambda _: redirect("file:///etc/hostname"), "HTTP 302 Found"),
}


@pytest.mark.parametrize("case", FIRST_MIRROR_FAILS)
def test_next_mirror_is_tried(tmp_path, server, case):
    answer, reason = FIRST_MIRROR_FAILS[case]
    server.answers[f"/a/{IMAGES}"] = answer(server)
    seen = fetch(tmp_path, server, timeout_s=1.0)
    assert server.asked[:3] == [f"/a/{IMAGES}", f"/b/{IMAGES}", f"/a/{RESOURCES[1].filename}"]
    assert [p.mirror for p in seen if p.file == IMAGES][-1] == server.mirrors[1]
    assert on_disk(tmp_path) == UNPACKED

    message = failure(tmp_path / "one-mirror", server, mirrors=server.mirrors[:1], timeout_s=1.0)
    assert re.search(reason, message), message
    assert on_disk(tmp_path / "one-mirror") == {}


def test_a_refused_connection_and_a_redirect_are_handled(tmp_path, server):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = f"127.0.0.1:{closed.getsockname()[1]}"
    server.answers[f"/a/{IMAGES}"] = redirect(f"http://{server.host}/b/{IMAGES}")
    fetch(tmp_path, server, mirrors=[f"http://{nobody}/", server.mirrors[0]])
    assert on_disk(tmp_path) == UNPACKED
    message = failure(tmp_path / "x", server, mirrors=[f"http://name:secret@{nobody}"])
    assert "secret" not in message
    assert "no mirror was named" in failure(tmp_path / "x", server, mirrors=[])
    message = failure(tmp_path / "x", server, mirrors=[f"http://{nobody}", "http://no:port/", "http://[bad"])
    assert f"({nobody}: Connection refused; no:port: " in message


def test_failure_of_all_mirrors_is_reported(tmp_path, server):
    server.answers[f"/a/{IMAGES}"] = body(corrupt(IMAGES))
    del server.answers[f"/b/{IMAGES}"]
    message = failure(tmp_path, server)
    assert f"({server.host}: wrong checksum; {server.host}: HTTP 404 Not Found)" in message
    for part in (IMAGES, "Try again later", "the 4 unpacked files", str(tmp_path / "MNIST" / "raw"), "'digits'"):
        assert part in message
    assert "\n" not in message
    assert on_disk(tmp_path) == {}


def test_retry_fetches_only_what_is_missing(tmp_path, server):
    third = RESOURCES[2].filename
    server.on_both(third, body(b"no", status=500))
    failure(tmp_path, server)
    assert set(on_disk(tmp_path)) == set(list(ARRAYS)[:2])

    server.asked.clear()
    server.on_both(third, body(PACKED[third]))
    seen = fetch(tmp_path, server)
    assert server.asked == [f"/a/{third}", f"/a/{RESOURCES[3].filename}"]
    assert {p.file_index for p in seen} == {3, 4}
    assert on_disk(tmp_path) == UNPACKED

    server.asked.clear()
    (tmp_path / "MNIST" / "raw" / LOCK).unlink()
    assert fetch(tmp_path, server) == []
    assert server.asked == []
    assert not (tmp_path / "MNIST" / "raw" / LOCK).exists()  # a complete folder may be read-only


WRONG_FILES = {
    "empty": b"",
    "short": UNPACKED["train-images-idx3-ubyte"][:-1],
    "long": UNPACKED["train-images-idx3-ubyte"] + b"\0",
    "header only": UNPACKED["train-images-idx3-ubyte"][:16],
    "labels": UNPACKED["train-labels-idx1-ubyte"],
    "still packed": PACKED[IMAGES],
}


@pytest.mark.parametrize("case", WRONG_FILES)
def test_file_of_wrong_size_is_fetched_again(tmp_path, server, case):
    fetch(tmp_path, server)
    server.asked.clear()
    (tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte").write_bytes(WRONG_FILES[case])
    fetch(tmp_path, server)
    assert server.asked == [f"/a/{IMAGES}"]
    assert on_disk(tmp_path) == UNPACKED


@pytest.mark.parametrize("end", ["close", "interrupt", "drop"])
def test_stopped_midway_leaves_nothing(tmp_path, server, end):
    server.answers[f"/a/{IMAGES}"] = server.half_then_hang(PACKED[IMAGES])
    running = download("mnist", tmp_path, source(server))
    assert next(running).done_bytes == 0
    assert 0 < next(running).done_bytes <= len(PACKED[IMAGES]) // 2
    assert server.asked == [f"/a/{IMAGES}"]
    assert [name.endswith(".part") for name in on_disk(tmp_path)] == [True]
    if end == "close":
        running.close()
    elif end == "interrupt":
        with pytest.raises(KeyboardInterrupt):
            running.throw(KeyboardInterrupt())
    else:
        del running
    assert on_disk(tmp_path) == {}

    server.answers[f"/a/{IMAGES}"] = body(PACKED[IMAGES])
    fetch(tmp_path, server)  # and the lock is free again
    assert on_disk(tmp_path) == UNPACKED


def test_closed_in_another_thread_frees_the_lock(tmp_path, server):
    running = download("mnist", tmp_path, source(server))
    next(running)
    thread = threading.Thread(target=running.close)
    thread.start()
    thread.join()
    fetch(tmp_path, server)


def test_leftovers_of_a_killed_process_are_removed(tmp_path, server):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / f"{IMAGES}.0123.part").write_bytes(b"half")
    (raw / "train-images-idx3-ubyte.0123.part").write_bytes(b"half")
    (raw / "notes.part").write_bytes(b"somebody else's")
    fetch(tmp_path, server)
    assert on_disk(tmp_path) == UNPACKED | {"notes.part": b"somebody else's"}


def test_two_downloads_at_once_do_not_disturb_each_other(tmp_path, server):
    first = download("mnist", tmp_path, source(server))
    next(first)
    assert "already being downloaded" in failure(tmp_path, server)

    code = (
        "import sys; from mnist_core.data.download import *\n"
        "source = Source('MNIST', 'MNIST/raw', ('http://127.0.0.1:9',), (Resource('x.gz', ''),))\n"
        "try: list(download('mnist', sys.argv[1], source))\n"
        "except Exception as error: print(type(error).__name__, error, 'torch' in sys.modules)"
    )
    other = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"DataError .* by another session: wait for it\. False\n", other.stdout), other
    list(first)  # undisturbed
    assert on_disk(tmp_path) == UNPACKED


def test_a_folder_that_cannot_be_written_is_reported(tmp_path, server):
    (tmp_path / "file").touch()
    message = failure(tmp_path / "file" / "data", server)
    assert str(tmp_path / "file" / "data" / "MNIST" / "raw") in message
    assert "MNIST_LAB_DATA" in message
    assert server.asked == []


def test_a_full_disk_is_reported_and_leaves_nothing(tmp_path, server, monkeypatch):
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    message = failure(tmp_path, server)
    assert "(No space left on device)" in message
    assert "MNIST_LAB_DATA" in message
    assert on_disk(tmp_path) == {}
    assert server.asked == [f"/a/{IMAGES}"]  # another mirror would not help


NOT_MNIST = {
    "bomb": (lambda: gzip.compress(bytes(RESOURCES[0].max_bytes + 1), 1), "unpacks to more than 67 MB"),
    "not gzip": (lambda: UNPACKED["train-images-idx3-ubyte"], "not a gzip file"),
    "half a gzip": (lambda: PACKED[IMAGES][:-100], "not a gzip file"),
    "damaged gzip": (lambda: PACKED[IMAGES][:100] + bytes(100) + PACKED[IMAGES][200:], "not a gzip file"),
    "short idx": (lambda: gzip.compress(UNPACKED["train-images-idx3-ubyte"][:-1]), "not a whole MNIST file"),
    "no idx": (lambda: gzip.compress(b"hello"), "not a whole MNIST file"),
    "nothing in it": (lambda: gzip.compress(b""), "not a whole MNIST file"),
}


@pytest.mark.parametrize("case", NOT_MNIST)
def test_a_wrong_file_of_right_checksum_is_refused(tmp_path, server, case):
    make, reason = NOT_MNIST[case]
    packed = make()
    server.answers[f"/a/{IMAGES}"] = body(packed)
    message = failure(tmp_path, server, mirrors=server.mirrors[:1], resources=[resource(IMAGES, packed)])
    assert f": {reason})" in message
    assert on_disk(tmp_path) == {}


@pytest.mark.parametrize("mirror", ["file:///etc/", "ftp://example.org/mnist/", "/mnt/mnist", ""])
def test_only_web_addresses_are_fetched(tmp_path, server, mirror):
    message = failure(tmp_path, server, mirrors=[server.mirrors[0], mirror])
    assert f"'{mirror}'" in message
    assert list(tmp_path.iterdir()) == []
