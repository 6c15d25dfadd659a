"""known_source(name) → where a dataset is fetched from, its checksums, and how its files are unpacked."""

from __future__ import annotations

import ast
import gzip
import hashlib
import math
import os
import re
import tarfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, BinaryIO

from mnist_core.errors import DataError

SOURCES = {"mnist": "12 MB", "cifar10": "170 MB"}  # what is there to download, and how much that is
_BROKEN = (gzip.BadGzipFile, EOFError, zlib.error, tarfile.TarError)


class SourceError(Exception):
    """This mirror cannot give this file; the message is a brief reason, and the next mirror is to be tried."""


@dataclass(frozen=True)
class Resource:
    """One gzipped file to fetch: its name on the mirrors and the MD5 of those packed bytes, in hex.

    No file of it may be larger than `max_bytes`, packed or unpacked: a gzip bomb has no end.
    """

    filename: str
    md5: str
    max_bytes: int = 64 * 2**20  # MNIST's largest has 47 MB

    @property
    def files(self) -> tuple[str, ...]:
        """The names of the files that it unpacks to."""
        return (self.filename.removesuffix(".gz"),)

    def is_whole(self, folder: Path) -> bool:
        """Whether all of `files` lie in `folder` as they should be."""
        return is_idx(folder / self.files[0])

    def unpack(self, packed: Path, unpacked: Sequence[Path]) -> None:
        """Writes `unpacked`, one path for each of `files`, fsynced. Raises SourceError when `packed` is damaged."""
        try:
            with gzip.open(packed) as source:
                self._write(source, unpacked[0])
        except _BROKEN:  # BadGzipFile is an OSError, yet not the folder's fault
            raise SourceError("not a gzip file") from None
        if not is_idx(unpacked[0]):
            raise SourceError("not a whole MNIST file")

    def _write(self, source: BinaryIO, path: Path) -> None:
        with open(path, "xb") as file:
            while chunk := source.read(2**20):
                if file.tell() + len(chunk) > self.max_bytes:
                    raise SourceError(f"unpacks to more than {self.max_bytes / 1e6:.0f} MB")
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())


@dataclass(frozen=True)
class Archive(Resource):
    """A .tar.gz, of which the files in `members` (name → MD5) are wanted, from the archive's folder `inside`."""

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
            with tarfile.open(packed, "r|gz") as archive:  # a stream: members are taken as they come, the rest passes
                for member in archive:
                    path = wanted.pop(member.name, None)
                    if path is not None:
                        content = archive.extractfile(tarfile.data_filter(member, str(path.parent)))
                        if content is None or not member.isreg():
                            raise SourceError(f"{member.name} in it is no file")
                        self._write(content, path)
        except _BROKEN:
            raise SourceError("not a whole .tar.gz file") from None
        for path, (name, md5) in zip(unpacked, self.members, strict=True):
            if not path.is_file() or _md5(path) != md5:
                raise SourceError(f"{name} in it is missing or damaged")


@dataclass(frozen=True)
class Source:
    """A dataset to fetch: its title, the folder within the data folder, mirrors to try in turn, and the files."""

    title: str
    folder: str
    mirrors: tuple[str, ...]
    resources: tuple[Resource, ...]


def known_source(name: str) -> Source:
    """The source of `mnist` or `cifar10`, as torchvision knows it: one list less to keep up to date.

    MNIST_LAB_MIRRORS (URLs apart by spaces) replaces the mirrors: a school may keep copies in its own network. Raises
    DataError for any other name.
    """
    if name not in SOURCES:
        raise DataError(f"'{name}' cannot be downloaded; these can: {', '.join(SOURCES)}.")
    own = tuple(os.environ.get("MNIST_LAB_MIRRORS", "").split())
    if name == "mnist":
        mirrors, listed = _torchvision("mnist.py", "MNIST", "mirrors", "resources")
        return Source("MNIST", "MNIST/raw", own or tuple(mirrors), tuple(Resource(*entry) for entry in listed))
    url, filename, md5, folder, train, test, meta = _torchvision(
        "cifar.py", "CIFAR10", "url", "filename", "tgz_md5", "base_folder", "train_list", "test_list", "meta"
    )
    files = (*map(tuple, [*train, *test]), (meta["filename"], meta["md5"]))
    archive = Archive(filename, md5, 256 * 2**20, files, folder)
    return Source("CIFAR-10", folder, own or (url.removesuffix(filename),), (archive,))


def _torchvision(file: str, name: str, *attributes: str) -> list[Any]:
    """Constants of the class `name` in torchvision/datasets/`file`, read as text: importing it takes 160 MB and 1.3 s.

    Raises DataError where they are not found.
    """
    try:
        folder = Path(str(distribution("torchvision").locate_file("torchvision/datasets")))
        module = ast.parse((folder / file).read_text(encoding="utf-8"))
        (body,) = (node.body for node in module.body if isinstance(node, ast.ClassDef) and node.name == name)
        constants = {ast.unparse(node.targets[0]): node.value for node in body if isinstance(node, ast.Assign)}
        return [ast.literal_eval(constants[attribute]) for attribute in attributes]
    except (PackageNotFoundError, OSError, SyntaxError, LookupError, ValueError):
        raise DataError(f"This version of torchvision does not say where {name} is to be found.") from None


def is_idx(path: Path) -> bool:
    """Whether `path` is as long as its IDX header says, of bytes, and of the dimensions its name says (`idx3`)."""
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
