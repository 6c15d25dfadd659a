"""What can be downloaded; and CIFAR-10's archive, small but in its real form, from a web server of our own."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from mnist_core.data import cifar10
from mnist_core.data.download import DownloadStep, download
from mnist_core.data.loading import is_available, load_dataset
from mnist_core.data.mirrors import SOURCES, Source, known_source
from mnist_core.data.packed import Archive
from mnist_core.errors import DataError
from tests.helpers.files import batch, pickled
from tests.helpers.mirror import ARRAYS, LOCK, Server, body

RNG = np.random.default_rng(0)
COUNT = 20  # images a file
NAME = "cifar-10-python.tar.gz"


def test_sources_are_torchvisions(monkeypatch) -> None:
    from torchvision.datasets import CIFAR10, EMNIST, KMNIST, MNIST, QMNIST, USPS, FashionMNIST

    monkeypatch.delenv("MNIST_LAB_MIRRORS", raising=False)
    other = known_source("cifar10")
    for name, theirs in (("mnist", MNIST), ("fashion-mnist", FashionMNIST), ("kmnist", KMNIST)):
        source = known_source(name)
        assert source.mirrors == tuple(theirs.mirrors)
        assert source.folder == f"{theirs.__name__}/raw"
        assert [(r.filename, r.md5) for r in source.resources] == theirs.resources
        assert [file for r in source.resources for file in r.files] == list(ARRAYS)
    assert other.mirrors[0] + other.resources[0].filename == CIFAR10.url
    assert other.resources[0].md5 == CIFAR10.tgz_md5
    listed = [*CIFAR10.train_list, *CIFAR10.test_list, [CIFAR10.meta["filename"], CIFAR10.meta["md5"]]]
    assert other.resources[0].members == tuple(map(tuple, listed))
    assert {*cifar10.TRAIN_FILES, cifar10.TEST_FILE, "batches.meta"} == set(other.resources[0].files)
    assert other.folder == cifar10.FOLDER
    for part in EMNIST.splits:
        (zipped,) = (source := known_source(f"emnist:{part}")).resources
        assert (source.mirrors[0] + zipped.filename, zipped.md5) == (EMNIST.url, EMNIST.md5)
        assert source.folder == "EMNIST/raw"
    qmnist, usps = known_source("qmnist"), known_source("usps")
    named = [(qmnist.mirrors[0] + r.filename, r.md5) for r in qmnist.resources]
    assert named == [*QMNIST.resources["train"], *QMNIST.resources["test"]]
    assert [[usps.mirrors[0] + r.filename, r.filename, r.md5] for r in usps.resources] == [*USPS.split_list.values()]
    monkeypatch.setenv("MNIST_LAB_MIRRORS", "http://a/ http://b/")
    assert {known_source(name).mirrors for name in SOURCES} == {("http://a/", "http://b/")}
    with pytest.raises(DataError, match="mnist, fashion-mnist, kmnist, cifar10, emnist:balanced"):
        known_source("digits")


def files() -> dict[str, bytes]:
    made = {
        name: pickled(batch(RNG.integers(0, 256, (COUNT, 3072), dtype=np.uint8), [*range(10)] * 2))
        for name in (*cifar10.TRAIN_FILES, cifar10.TEST_FILE)
    }
    return {**made, "batches.meta": pickled({"label_names": list(cifar10.CLASSES)})}


FILES = files()


def packed(content: dict[str, bytes], kind: bytes = tarfile.REGTYPE) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, data in {"readme.html": b"hello", **content}.items():
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.type, member.size, member.linkname = kind, len(data) if kind == tarfile.REGTYPE else 0, "/etc/passwd"
            archive.addfile(member, io.BytesIO(data))
    return file.getvalue()


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def archive(content: bytes, **changes: object) -> Archive:
    members = tuple((name, md5(data)) for name, data in FILES.items())
    return Archive(**{"filename": NAME, "md5": md5(content), "members": members, "inside": cifar10.FOLDER, **changes})


def fetch(data_dir: Path, server: Server, content: bytes, **changes: object) -> list[DownloadStep]:
    server.on_both(NAME, body(content))
    source = Source("CIFAR-10", cifar10.FOLDER, tuple(server.mirrors), (archive(content, **changes),))
    return list(download("cifar10", data_dir, source, timeout_s=5.0))


def on_disk(data_dir: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (data_dir / cifar10.FOLDER).iterdir() if path.name != LOCK}


def test_cifar_is_downloaded_loaded_and_not_fetched_twice(tmp_path, server, monkeypatch) -> None:
    monkeypatch.setattr(cifar10, "PER_FILE", COUNT)
    assert not is_available("cifar10", tmp_path)
    content = packed(FILES)
    seen = fetch(tmp_path, server, content)
    assert on_disk(tmp_path) == FILES
    assert seen[-1].done_bytes == seen[-1].total_bytes == len(content)
    assert is_available("cifar10", tmp_path)
    assert len(load_dataset("cifar10", tmp_path).train_labels) == 5 * COUNT
    server.asked.clear()
    assert fetch(tmp_path, server, content) == []
    (tmp_path / cifar10.FOLDER / "data_batch_2").write_bytes(b"damaged")
    fetch(tmp_path, server, content)
    assert server.asked == [f"/a/{NAME}"]
    assert on_disk(tmp_path) == FILES


BROKEN = {
    "a file missing": (packed({name: FILES[name] for name in list(FILES)[:-1]}), {}, "batches.meta in it is missing"),
    "a file changed": (packed({**FILES, "test_batch": b"x"}), {}, "test_batch in it is missing or damaged"),
    "links": (packed(FILES, tarfile.SYMTYPE), {}, "not a whole .tar.gz|no file"),
    "folders": (packed(FILES, tarfile.DIRTYPE), {}, "no file"),
    "cut short": (packed(FILES)[:-1000], {}, "not a whole .tar.gz"),
    "no archive": (b"<html>" * 99, {}, "not a whole .tar.gz"),
    "nothing": (b"", {}, "not a whole .tar.gz"),
    "wrong checksum": (packed(FILES), {"md5": "0" * 32}, "wrong checksum"),
    "too large unpacked": (packed({**FILES, "test_batch": bytes(10**6)}), {"max_bytes": 500_000}, "unpacks to more"),
    "too large packed": (packed(FILES), {"max_bytes": 1000}, "larger than"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_archive_leaves_nothing(tmp_path, server, case) -> None:
    content, changes, reason = BROKEN[case]
    with pytest.raises(DataError, match=reason) as caught:
        fetch(tmp_path, server, content, **changes)
    assert "the 7 unpacked files" in str(caught.value)
    assert on_disk(tmp_path) == {}
