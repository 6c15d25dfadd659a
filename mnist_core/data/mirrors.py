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
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mnist_core.errors import DataError
from mnist_core.system.settings import mirrors

SOURCES = {"mnist": "12 MB", "cifar10": "170 MB"}  # datasets that can be downloaded, and their packed size
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


def known_source(name: str) -> Source:
    """The source of `mnist` or `cifar10`, from torchvision's lists of files and mirrors.

    `settings.mirrors()` replaces the mirrors, for copies within an own network. Raises DataError for any other name.
    """
    if name not in SOURCES:
        raise DataError(f"'{name}' cannot be downloaded; these can: {', '.join(SOURCES)}.")
    from torchvision.datasets import CIFAR10, MNIST  # takes 1.3 s and 160 MB: imported for a download only

    own = mirrors()
    if name == "mnist":
        resources = tuple(Resource(filename, md5) for filename, md5 in MNIST.resources)
        return Source("MNIST", "MNIST/raw", own or tuple(MNIST.mirrors), resources)
    files = [*CIFAR10.train_list, *CIFAR10.test_list, [CIFAR10.meta["filename"], CIFAR10.meta["md5"]]]
    archive = Archive(
        CIFAR10.filename, CIFAR10.tgz_md5, 256 * 2**20, tuple((file, md5) for file, md5 in files), CIFAR10.base_folder
    )
    mirror = CIFAR10.url.removesuffix(CIFAR10.filename)
    return Source("CIFAR-10", CIFAR10.base_folder, own or (mirror,), (archive,))


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
