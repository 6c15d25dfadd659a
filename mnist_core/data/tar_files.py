"""The entries of a .tar or .tar.gz, one after another, with bounded memory and no file written."""

from __future__ import annotations

import gzip
import struct
import tarfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO

from mnist_core.errors import DataError

ENDINGS = (".tar", ".tar.gz", ".tgz")
_DAMAGE = (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error, struct.error, ValueError, OverflowError)


class _Bounded:
    """A stream of which no more than `most` bytes are read at once: a header could ask for any amount."""

    def __init__(self, file: IO[bytes] | gzip.GzipFile, most: int) -> None:
        self.seek, self.tell, self._read, self._most = file.seek, file.tell, file.read, most

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= self._most:
            raise tarfile.ReadError("a header asks for too much")
        return self._read(size)


def is_tar(path: Path) -> bool:
    """Whether `path` is a .tar, plain or gzipped, by its first bytes or, if these are damaged, by its name."""
    try:
        with open(path, "rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            start = (gzip.GzipFile(fileobj=file) if packed else file).read(512)
    except (OSError, EOFError, zlib.error):
        start = b""
    return start[257:262] == b"ustar" or path.name.lower().endswith(ENDINGS)


def tar_entries(path: Path, max_bytes: int) -> Iterator[tuple[tarfile.TarInfo, Callable[[], bytes]]]:
    """Each entry and a function that gives its bytes, to be called before the next entry, for up to `max_bytes`.

    Raises DataError when the file cannot be read, is damaged or cut short, at the latest after the last entry.
    """
    try:
        with open(path, "rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            most = max_bytes + 2**16  # headers and padding come in blocks
            stream = _Bounded(gzip.GzipFile(fileobj=raw) if packed else raw, most)
            with tarfile.open(fileobj=stream, mode="r:") as file:  # type: ignore[call-overload]
                for info in file:
                    yield info, partial(_content, path, file, info)
                stream.seek(file.offset)  # tarfile takes a damaged header for the end, which is a block of zeros
                rest = stream.read(most)  # to the end of a .gz, where its checksum is
                if not rest.startswith(bytes(512)) or stream.read(1):
                    raise tarfile.ReadError("cut short")
    except (*_DAMAGE, OSError) as error:
        raise _said(path, error) from None


def _said(path: Path, error: Exception) -> DataError:
    if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
        return DataError(f"{path} cannot be read ({error.strerror or error}).")
    return DataError(f"{path} is a damaged .tar file, or cut short: pack it again.")


def _content(path: Path, file: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    try:
        content = file.extractfile(info)
        data = content.read() if content else b""
    except (*_DAMAGE, OSError) as error:
        raise _said(path, error) from None
    if len(data) != info.size:
        raise DataError(f"{path} is a damaged .tar file, or cut short: pack it again.")
    return data
