"""The lines of CSV files: plain, gzipped or in a .zip, one or several in a folder, in bounded memory."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from mnist_core.data.archive import printable
from mnist_core.errors import DataError
from mnist_core.system.progress import Progress

MAX_TEXT = 4 * 2**30  # characters of one file, unpacked
MAX_LINE = 2**17  # characters: 64 × 64 px take at most 80,000
SUFFIXES = (".csv", ".csv.gz", ".tsv", ".txt")
_DAMAGE = (gzip.BadGzipFile, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError)


@dataclass(frozen=True)
class Source:
    """One CSV: its name for messages, whether its name says that it is test (None: neither), and how it is opened."""

    name: str
    test: bool | None
    size: int  # bytes, unpacked if it is in a .zip
    open: Callable[[], IO[bytes]]
    short: str  # the name without its folder or .zip

    def lines(self, progress: Progress | None = None) -> Generator[str, None, None]:
        """The lines that are not blank. Raises DataError when the file is damaged or over a limit."""
        try:
            with self.open() as file, io.BufferedReader(file, 2**16) as start:  # type: ignore[type-var]
                yield from self._lines(start, progress)
        except _DAMAGE:
            raise DataError(f"{self.name} is damaged or cut short: copy or pack it again.") from None
        except UnicodeError:
            raise DataError(f"{self.name} is no text: save it as CSV.") from None
        except OSError as error:
            raise DataError(f"{self.name} cannot be read ({error.strerror or error}).") from None

    def _lines(self, start: io.BufferedReader[Any], progress: Progress | None) -> Iterator[str]:
        magic = start.peek(2)[:2]
        stream: IO[bytes] = gzip.GzipFile(fileobj=start) if magic == b"\x1f\x8b" else start  # type: ignore[assignment]
        buffered = io.BufferedReader(stream, 2**16)  # type: ignore[type-var]
        wide = buffered.peek(2)[:2] in (b"\xff\xfe", b"\xfe\xff")  # as Excel saves "Unicode text"
        with io.TextIOWrapper(buffered, encoding="utf-16" if wide else "utf-8-sig") as text:
            done = 0
            for number in range(2**62):
                line = text.readline(MAX_LINE + 1)
                if not line:
                    break
                done += len(line)
                if len(line) > MAX_LINE or "\0" in line:
                    raise DataError(f"{self.name} is no CSV of images, as its line {number + 1} is binary or too long.")
                if done > MAX_TEXT:
                    raise DataError(f"{self.name} has over {MAX_TEXT / 1e9:.0f} GB of text, the limit: split it.")
                if progress and number % 1000 == 999:
                    progress(min(done / max(self.size, 1), 1.0))
                if line.strip():
                    yield line
        if progress:
            progress(1.0)


@contextlib.contextmanager
def csv_sources(path: Path) -> Iterator[tuple[list[Source], list[str]]]:
    """The CSV files at `path`, and the names of those left out: the file itself, or those in a .zip or a folder.

    Where a name says train, only files whose names say train or test are given, training files first. Raises DataError
    when there is none.
    """
    with contextlib.ExitStack() as stack:
        try:
            if path.is_dir():
                names = sorted(entry.name for entry in os.scandir(path) if _is_csv(entry.name) and entry.is_file())
                found = [_of_file(path / name) for name in names]
            elif zipfile.is_zipfile(path):
                file = stack.enter_context(zipfile.ZipFile(path))
                infos = [info for info in file.infolist() if _is_csv(info.filename) and not info.is_dir()]
                found = [_of_member(path, file, info) for info in infos]
            else:
                found = [_of_file(path)]
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror or error}).") from None
        except _DAMAGE:
            raise DataError(f"{path} is no whole .zip file: pack it again.") from None
        if not found:
            raise DataError(f"There is no .csv file in {path}: `csv:PATH` needs one.")
        chosen = _chosen(path, found)
        taken = {source.name for source in chosen}
        yield chosen, [source.short for source in found if source.name not in taken]


def _chosen(path: Path, found: list[Source]) -> list[Source]:
    train = [source for source in found if source.test is False]
    test = [source for source in found if source.test]
    if len(found) == 1:
        (only,) = found
        return [replace(only, test=None)]  # one file is the whole set, whatever it is called
    if len(train) == 1 and len(test) <= 1:
        return train + test
    names = ", ".join(source.short for source in found[:6])
    raise DataError(f"{path} holds several CSV files ({names}): give one, or call them train.csv and test.csv.")


def _of_file(path: Path) -> Source:
    return Source(str(path), _is_test(path.name), path.stat().st_size, lambda: open(path, "rb"), path.name)


def _of_member(path: Path, file: zipfile.ZipFile, info: zipfile.ZipInfo) -> Source:
    name = printable(info.filename)
    short = name.rpartition("/")[2]
    return Source(f"{name} in {path}", _is_test(short), info.file_size, lambda: file.open(info), short)


def _is_csv(name: str) -> bool:
    plain = name.lower().rpartition("/")[2]
    return plain.endswith(SUFFIXES) and not plain.startswith(".") and "__macosx" not in name.lower()


def _is_test(name: str) -> bool | None:
    words = set(re.split(r"[^a-z0-9]+", name.lower()))
    if words & {"train", "training"}:
        return False
    return True if words & {"test", "testing", "t10k"} else None
