"""Mirrors: where a dataset is downloaded from, its checksums, and how its files are unpacked."""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import re
import tarfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from mnist_core.errors import DataError
from mnist_core.system.settings import mirrors

SOURCES = {
    "mnist": "12 MB",
    "fashion-mnist": "31 MB",
    "kmnist": "21 MB",
    "cifar10": "170 MB",
}  # datasets that can be downloaded, and their packed size
_DAMAGE = (gzip.BadGzipFile, EOFError, zlib.error, tarfile.TarError)


class SourceError(Exception):
    """A mirror failed to give a file; the message is a brief reason, and the next mirror is tried."""


@dataclass(frozen=True)
class Resource:
    """One gzipped file to download: its name on the mirrors and the MD5 of its packed bytes, in hex.

    No file may be larger than `max_bytes`, packed or unpacked, which stops gzip bombs.
    """

    filename: str
    md5: str
    max_bytes: int = 64 * 2**20  # MNIST's largest has 47 MB

    @property
    def files(self) -> tuple[str, ...]:
        """The names of the unpacked files."""
        return (self.filename.removesuffix(".gz"),)

    def is_whole(self, folder: Path) -> bool:
        """Whether all of `files` lie in `folder`, complete."""
        return is_idx(folder / self.files[0])

    def unpack(self, packed: Path, unpacked: Sequence[Path]) -> None:
        """Writes the paths `unpacked`, one for each of `files`, fsynced. Raises SourceError for a damaged `packed`."""
        try:
            with gzip.open(packed) as source:
                self._write(source, unpacked[0])
        except _DAMAGE:  # BadGzipFile is an OSError, but not one of the folder
            raise SourceError("not a gzip file") from None
        if not is_idx(unpacked[0]):
            raise SourceError("not a whole MNIST file")

    def _write(self, source: IO[bytes] | gzip.GzipFile, path: Path) -> None:
        with open(path, "xb") as file:
            while chunk := source.read(2**20):
                if file.tell() + len(chunk) > self.max_bytes:
                    raise SourceError(f"unpacks to more than {self.max_bytes / 1e6:.0f} MB")
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())


@dataclass(frozen=True)
class Archive(Resource):
    """A .tar.gz, of which the files in `members` (name, MD5) are unpacked, from the archive's folder `inside`."""

    members: tuple[tuple[str, str], ...] = ()
    inside: str = ""

    @property
    def files(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.members)

    def is_whole(self, folder: Path) -> bool:
        return all((folder / name).is_file() and _md5(folder / name) == md5 for name, md5 in self.members)

    def unpack(self, packed: Path, unpacked: Sequence[Path]) -> None:
        wanted = {f"{self.inside}/{name}": path for name, path in zip(self.files, unpacked, strict=True)}
        try:
            with tarfile.open(packed, "r|gz") as archive:  # a stream: one pass over all members
                for member in archive:
                    path = wanted.pop(member.name, None)
                    if path is not None:
                        content = archive.extractfile(tarfile.data_filter(member, str(path.parent)))
                        if content is None or not member.isreg():
                            raise SourceError(f"{member.name} in it is no file")
                        self._write(content, path)
        except _DAMAGE:
            raise SourceError("not a whole .tar.gz file") from None
        for path, (name, md5) in zip(unpacked, self.members, strict=True):
            if not path.is_file() or _md5(path) != md5:
                raise SourceError(f"{name} in it is missing or damaged")


@dataclass(frozen=True)
class Source:
    """A dataset to download: its title, folder within the data folder, mirrors to try in turn, and files."""

    title: str
    folder: str
    mirrors: tuple[str, ...]
    resources: tuple[Resource, ...]


# as torchvision has them, which a test compares: to import it takes 160 MB and 1.3 s
_MNIST = Source(
    "MNIST",
    "MNIST/raw",
    ("https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/"),
    (
        Resource("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        Resource("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432"),
        Resource("t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3"),
        Resource("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c"),
    ),
)
_FASHION = Source(
    "Fashion-MNIST",
    "FashionMNIST/raw",
    ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
    (
        Resource("train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        Resource("train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe"),
        Resource("t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79"),
        Resource("t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310"),
    ),
)
_KMNIST = Source(
    "KMNIST",
    "KMNIST/raw",
    ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
    (
        Resource("train-images-idx3-ubyte.gz", "bdb82020997e1d708af4cf47b453dcf7"),
        Resource("train-labels-idx1-ubyte.gz", "e144d726b3acfaa3e44228e80efcd344"),
        Resource("t10k-images-idx3-ubyte.gz", "5c965bf0a639b31b8f53240b1b52f4d7"),
        Resource("t10k-labels-idx1-ubyte.gz", "7320c461ea6c1c855c0b718fb2a4b134"),
    ),
)
_CIFAR10 = Source(
    "CIFAR-10",
    "cifar-10-batches-py",
    ("https://www.cs.toronto.edu/~kriz/",),
    (
        Archive(
            "cifar-10-python.tar.gz",
            "c58f30108f718f92721af3b95e74349a",
            256 * 2**20,
            (
                ("data_batch_1", "c99cafc152244af753f735de768cd75f"),
                ("data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"),
                ("data_batch_3", "54ebc095f3ab1f0389bbae665268c751"),
                ("data_batch_4", "634d18415352ddfa80567beed471001a"),
                ("data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"),
                ("test_batch", "40351d587109b95175f43aff81a1287e"),
                ("batches.meta", "5ff9c542aee3614f3951f8cda6e48888"),
            ),
            "cifar-10-batches-py",
        ),
    ),
)


def known_source(name: str) -> Source:
    """The source of one of SOURCES: the files, checksums and mirrors that torchvision names.

    `settings.mirrors()` replaces the mirrors, for copies within an own network. Raises DataError for any other name.
    """
    if name not in SOURCES:
        raise DataError(f"'{name}' cannot be downloaded; these can: {', '.join(SOURCES)}.")
    source = {"mnist": _MNIST, "fashion-mnist": _FASHION, "kmnist": _KMNIST, "cifar10": _CIFAR10}[name]
    return replace(source, mirrors=mirrors() or source.mirrors)


def is_idx(path: Path) -> bool:
    """Whether `path` is an IDX file of bytes, as long as its header says, with as many dimensions as its name says."""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        zero, kind, rank = int.from_bytes(file.read(2)), file.read(1), int.from_bytes(file.read(1))
        sizes = [int.from_bytes(file.read(4)) for _ in range(rank)]
    named = re.search(r"idx(\d)-ubyte", path.name)
    right_kind = zero == 0 and kind == b"\x08" and rank > 0 and (named is None or int(named[1]) == rank)
    return right_kind and math.prod(sizes) > 0 and path.stat().st_size == 4 + 4 * rank + math.prod(sizes)


def _md5(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
