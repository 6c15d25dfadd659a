"""Which kind of dataset a path holds, told from its first bytes: for the sentence about a wrong prefix."""

from __future__ import annotations

import gzip
import itertools
import os
import re
import tarfile
import zipfile
import zlib
from pathlib import Path

from mnist_core.drawing.images import SUFFIXES

TITLES = {
    "folder": "a folder of pictures",
    "drawings": "pen strokes in JSON",
    "idx": "IDX files, as MNIST has them",
    "csv": "CSV",
    "npz": "a NumPy archive",
    "parquet": "a Parquet file",
}


def wrong_kind(kind: str, path: Path) -> str:
    """A sentence that names the right prefix, where `path` is plainly of another kind than `kind`; else empty."""
    found = kind_of(path)
    if found is None or found == kind:
        return ""
    target = path.parent if found == "idx" and path.is_file() else path
    return f"{path} is {TITLES[found]}, not {TITLES[kind]}: use `{found}:{target}`."


def right_name(name: str) -> str:
    """A sentence with the name of the dataset that is meant by a path, without a prefix or with an unknown one.

    Empty where there is nothing at the path, or nothing that is known.
    """
    for text in (name, name.partition(":")[2]):
        try:
            path = Path(text).expanduser() if text else None
            found = kind_of(path) if path is not None and path.exists() else None
        except (OSError, ValueError, RuntimeError):  # a name that no file can have, no such home
            found = None
        if path is not None and found is not None:
            target = path.parent if found == "idx" and path.is_file() else path
            return f"{path} is {TITLES[found]}: use `{found}:{target}`."
    return ""


def kind_of(path: Path) -> str | None:
    """The kind of dataset at `path`, from names and a few bytes; None where that does not tell."""
    try:
        if path.is_dir():
            names = [name.lower() for entry in itertools.islice(os.walk(path), 100) for name in entry[2][:1000]]
            return _of_names(names)
        with open(path, "rb") as file:
            start = file.read(4096)
        if start[:2] == b"\x1f\x8b":
            with gzip.open(path) as packed:
                start = packed.read(4096)
            if start[257:262] == b"ustar":
                return "folder"
        if start[:4] == b"PK\3\4":
            with zipfile.ZipFile(path) as archive:
                return _of_names([name.lower() for name in archive.namelist()[:100_000]])
        if start[257:262] == b"ustar" or tarfile.is_tarfile(path):
            return "folder"
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, tarfile.TarError, ValueError, NotImplementedError):
        return None
    return _of_bytes(start)


def _of_names(names: list[str]) -> str | None:
    if any(name.endswith(SUFFIXES) for name in names):
        return "folder"
    if any(re.search(r"(images|labels)[-.]idx\d-ubyte(\.gz)?$", name) for name in names):
        return "idx"
    for kind, endings in (("npz", (".npy",)), ("parquet", (".parquet",)), ("csv", (".csv", ".csv.gz"))):
        if any(name.endswith(endings) for name in names):
            return kind
    return None


def _of_bytes(start: bytes) -> str | None:
    if start[:4] == b"PAR1":
        return "parquet"
    if start[:3] == b"\0\0\x08" and start[3:4] in (b"\1", b"\2", b"\3"):
        return "idx"
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text[:1] in (b"{", b"["):
        return "drawings"
    lines = text.splitlines()[:1]
    if lines and b"\0" not in text and len(re.findall(rb"[,;\t]", lines[0])) >= 4 and not text.startswith(b"<"):
        return "csv"
    return None
