"""The files of a folder, a .zip or a .tar: listed, and read into memory within limits, never extracted."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mnist_core.data.tar_files import is_tar, tar_entries
from mnist_core.data.zip_names import ENCODINGS, decoded_names
from mnist_core.errors import DataError

MAX_ENTRIES = 100_000  # files and folders, ignored ones included
MAX_FILE_BYTES = 64 * 2**20
MAX_TOTAL_BYTES = 4 * 2**30
MAX_TAR_BYTES = 2**30  # of a .tar, whose files are all held in memory
MAX_DEPTH = 8  # names in a path: top/train/class/picture, and some more folders around them
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, struct.error, ValueError)  # of a .zip


@dataclass(frozen=True)
class Member:
    """One file: the names of its path below the root, its size in bytes, and `read`, which gives its bytes.

    `read` may be called from any thread while the archive is open. It raises DataError.
    """

    parts: tuple[str, ...]
    size: int
    read: Callable[[], bytes]

    @property
    def name(self) -> str:
        return "/".join(self.parts)


class Listing(list[Member]):
    """The files; `folders`, the names of the folders that are listed; and `warning`, a sentence or empty."""

    def __init__(self, members: list[Member], folders: list[tuple[str, ...]] | None = None, warning: str = "") -> None:
        super().__init__(members)
        self.folders = folders or []
        self.warning = warning


@contextlib.contextmanager
def open_archive(path: Path, encoding: str = "") -> Iterator[Listing]:
    """The files in `path`, a folder, .zip, .tar or .tar.gz, without hidden and system files and archives within it.

    `encoding` is that of names in a .zip which does not say it; without it, it is guessed (`decoded_names`).

    Raises DataError when there is no such path, it cannot be read, is encrypted or damaged, has a name or a link that
    leads out of it, or is over a limit.
    """
    folders: list[tuple[str, ...]] = []
    if path.is_dir():
        found = _folder_files(path, folders)
        members = [Member(parts, status.st_size, partial(_read_file, file)) for parts, file, status in found]
        _check_sizes(path, members)
        yield Listing(members, folders)
        return
    if is_tar(path):
        members = list(_tar_members(path, folders))
        yield Listing(members, folders)
        return
    try:
        file = zipfile.ZipFile(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}).") from None
    except (*_DAMAGE, NotImplementedError):
        raise DataError(f"{path} is neither a folder nor a whole .zip file: pack it again.") from None
    with file:
        names, guess = decoded_names(file.infolist()[: MAX_ENTRIES + 1], encoding)
        members = list(_zip_members(path, file, names, folders))
        _check_sizes(path, members)
        yield Listing(members, folders, guess and _guessed(path, guess))


def _guessed(path: Path, guess: str) -> str:
    others = ", ".join(name for name in ENCODINGS if name != guess)
    return (
        f"{path.name} does not say how its names are encoded, and they were read as {guess}: where they look wrong, "
        f"use `folder:PATH#encoding=NAME` ({others})."
    )


def stamp(path: Path) -> Hashable:
    """A value that changes with `path`: the modification time and size of a file, or of all files in a folder.

    Raises DataError when it cannot be read.
    """
    try:
        if not path.is_dir():
            status = path.stat()
            return status.st_mtime_ns, status.st_size
        found = ((parts, status.st_size, status.st_mtime_ns) for parts, _, status in _folder_files(path))
        return tuple(sorted(found))
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}).") from None


def _folder_files(
    root: Path, folders: list[tuple[str, ...]] | None = None
) -> Iterator[tuple[tuple[str, ...], str, os.stat_result]]:
    """Names below `root`, path and status of each file in it; a link is followed as long as it stays inside.

    The names of the folders are added to `folders`.
    """
    inside, seen = root.resolve(), 0
    pending: list[tuple[tuple[str, ...], str]] = [((), str(root))]
    try:
        while pending:
            above, folder = pending.pop()
            for entry in os.scandir(folder):
                parts = (*above, entry.name)
                seen += 1
                if seen > MAX_ENTRIES:
                    raise DataError(f"{root} holds more than {MAX_ENTRIES:,} files: choose a folder of pictures only.")
                if is_ignored(parts):
                    continue
                if entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(inside):
                    raise DataError(f"{'/'.join(parts)} in {root} is a link that leads out of it: copy the files in.")
                if entry.is_dir():
                    if len(parts) >= MAX_DEPTH:
                        raise DataError(f"{'/'.join(parts)} in {root} lies too deep: pictures lie in train/CLASS/.")
                    pending.append((parts, entry.path))
                    if folders is not None:
                        folders.append(parts)
                elif entry.is_file():
                    yield parts, entry.path, entry.stat()
    except OSError as error:
        raise DataError(f"{error.filename or root} cannot be read ({error.strerror or error}).") from None


def _zip_members(
    path: Path, file: zipfile.ZipFile, names: list[str], folders: list[tuple[str, ...]]
) -> Iterator[Member]:
    infos = file.infolist()
    if len(infos) > MAX_ENTRIES:
        raise DataError(f"{path} holds {len(infos):,} files, over the limit of {MAX_ENTRIES:,}.")
    for info, stored in zip(infos, names, strict=True):
        name = stored.replace("\\", "/")  # as some Windows programs write
        parts = _inner_parts(path, name)
        if stat.S_ISLNK(info.external_attr >> 16):
            raise DataError(f"{path} holds the link '{printable(name)}': pack the files themselves.")
        if not parts or is_ignored(parts):
            continue
        if name.endswith("/"):
            folders.append(parts)
            continue
        if info.flag_bits & 1:
            raise DataError(f"{path} is encrypted: unpack it with its password, and give the folder.")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DataError(f"{path} is packed in an unusual way: pack it again as a plain .zip (deflate).")
        yield Member(parts, info.file_size, partial(_read_packed, path, file, info))


def _inner_parts(path: Path, name: str) -> tuple[str, ...]:
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if name.startswith("/") or ".." in parts or re.match("[A-Za-z]:", name):
        raise DataError(f"{path} holds the name '{printable(name)}', which leads out of it: it is refused.")
    return parts


def _tar_members(path: Path, folders: list[tuple[str, ...]]) -> Iterator[Member]:
    """All files, read in the order in which they are packed: a .tar.gz cannot be read in another."""
    total = 0
    for number, (info, read) in enumerate(tar_entries(path, MAX_FILE_BYTES), start=1):
        total += info.size
        if number > MAX_ENTRIES:
            raise DataError(f"{path} holds over {MAX_ENTRIES:,} files, the limit.")
        if total > MAX_TAR_BYTES:
            limit = f"{MAX_TAR_BYTES / 1e9:.0f} GB"
            raise DataError(f"{path} holds over {limit}, the limit of a .tar: unpack it, and give the folder.")
        parts = _inner_parts(path, info.name)
        if not (info.isreg() or info.isdir()):
            raise DataError(f"{path} holds the link '{printable(info.name)}': pack the files themselves.")
        if not parts or is_ignored(parts):
            continue
        if info.isdir():
            folders.append(parts)
            continue
        _check_sizes(path, [Member(parts, info.size, bytes)])
        yield Member(parts, info.size, partial(bytes, read()))


def printable(name: str) -> str:
    """The first 100 characters of a name from a file, on one line."""
    return "".join(c if c.isprintable() else "?" for c in name[:100])


def is_ignored(parts: tuple[str, ...]) -> bool:
    """Whether it is a hidden or a system file, or an archive within the archive."""
    return any(part.startswith(".") or part in ("__MACOSX", "@eaDir") for part in parts) or (
        parts[-1].lower() in ("thumbs.db", "desktop.ini", "icon\r") or parts[-1].lower().endswith(".zip")
    )


def _check_sizes(path: Path, members: list[Member]) -> None:
    for member in members:
        if member.size > MAX_FILE_BYTES:
            raise DataError(
                f"{printable(member.name)} in {path} has {member.size / 1e6:,.0f} MB, over the limit of "
                f"{MAX_FILE_BYTES / 1e6:.0f} MB: shrink it or take it out."
            )
    total = sum(member.size for member in members)
    if total > MAX_TOTAL_BYTES:
        raise DataError(
            f"{path} holds {total / 1e9:.1f} GB unpacked, over the limit of {MAX_TOTAL_BYTES / 1e9:.1f} GB: "
            "shrink the pictures or take some out."
        )


def _read_file(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}).") from None
    if len(data) > MAX_FILE_BYTES:
        raise DataError(f"{path} has grown over {MAX_FILE_BYTES / 1e6:.0f} MB while it was read.")
    return data


def _read_packed(path: Path, file: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """No more than the declared size is unpacked; a wrong checksum counts as damage."""
    try:
        with file.open(info) as packed:
            data = packed.read(info.file_size + 1)
    except (*_DAMAGE, OSError, NotImplementedError):
        data = b""
    if len(data) != info.file_size or not data:
        raise DataError(
            f"{printable(info.filename)} in {path} is empty or damaged: take it out or pack the .zip again."
        )
    return data
