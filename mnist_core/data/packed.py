"""Packed: the files that a dataset is downloaded as, their checksums, and how they are unpacked."""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import re
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, ClassVar

_DAMAGE = (gzip.BadGzipFile, EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile, NotImplementedError)


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
    stays: ClassVar[bool] = False  # whether the packed file is kept beside the unpacked ones

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
        return all((folder / name).is_file() and md5_of(folder / name) == md5 for name, md5 in self.members)

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
            if not path.is_file() or md5_of(path) != md5:
                raise SourceError(f"{name} in it is missing or damaged")


@dataclass(frozen=True)
class ZipOfGzips(Resource):
    """A .zip of gzipped IDX files, of which those in `members` are unpacked, from its folder `inside`.

    It stays beside them, as other sets are in it.
    """

    members: tuple[str, ...] = ()
    inside: str = ""
    stays: ClassVar[bool] = True

    @property
    def files(self) -> tuple[str, ...]:
        return self.members

    def is_whole(self, folder: Path) -> bool:
        return all(is_idx(folder / name) for name in self.members)

    def unpack(self, packed: Path, unpacked: Sequence[Path]) -> None:
        try:
            with zipfile.ZipFile(packed) as archive:
                for name, path in zip(self.members, unpacked, strict=True):
                    with archive.open(f"{self.inside}/{name}.gz") as member, gzip.open(member) as source:
                        self._write(source, path)
        except KeyError:
            raise SourceError(f"{name} in it is missing") from None
        except (*_DAMAGE, RuntimeError):  # RuntimeError: encrypted
            raise SourceError("not a whole .zip of .gz files") from None
        for name, path in zip(self.members, unpacked, strict=True):
            if not is_idx(path):
                raise SourceError(f"{name} in it is not a whole MNIST file")


@dataclass(frozen=True)
class Plain(Resource):
    """A file that is read as it was downloaded."""

    @property
    def files(self) -> tuple[str, ...]:
        return (self.filename,)

    def is_whole(self, folder: Path) -> bool:
        return (folder / self.filename).is_file() and md5_of(folder / self.filename) == self.md5

    def unpack(self, packed: Path, unpacked: Sequence[Path]) -> None:
        shutil.copyfile(packed, unpacked[0])
        with open(unpacked[0], "rb+") as file:
            os.fsync(file.fileno())


def is_idx(path: Path) -> bool:
    """Whether `path` is an IDX file as long as its header says, of the dimensions and the type that its name says.

    Without a type in its name, it is one of bytes.
    """
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        zero, kind, rank = int.from_bytes(file.read(2)), file.read(1), int.from_bytes(file.read(1))
        sizes = [int.from_bytes(file.read(4)) for _ in range(rank)]
    named = re.search(r"idx(\d)-(ubyte|int)", path.name)
    wanted, item = (b"\x0c", 4) if named is not None and named[2] == "int" else (b"\x08", 1)
    right_kind = zero == 0 and kind == wanted and rank > 0 and (named is None or int(named[1]) == rank)
    return right_kind and math.prod(sizes) > 0 and path.stat().st_size == 4 + 4 * rank + item * math.prod(sizes)


def md5_of(path: Path) -> str:
    """The MD5 of a file, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
