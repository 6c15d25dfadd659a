"""Downloads: a dataset's files in torchvision's layout, each complete or absent, with progress as they arrive."""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import time
import urllib.request
import uuid
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from http.client import HTTPException, responses
from pathlib import Path
from urllib.error import HTTPError, URLError

from filelock import FileLock, Timeout

from mnist_core.data.mirrors import Source, known_source
from mnist_core.data.packed import Resource, SourceError, md5_of
from mnist_core.errors import DataError

SECONDS_BETWEEN_PROGRESS = 0.1


@dataclass(frozen=True)
class DownloadStep:
    """The progress of a download in packed bytes of one file; `total_bytes` is None while unknown.

    `file_index` counts from 1 to `file_count`; `done_bytes` starts at 0 with each mirror.
    """

    file: str
    done_bytes: int
    total_bytes: int | None
    mirror: str
    file_index: int
    file_count: int


def download(
    name: str, data_dir: Path | str, source: Source | None = None, timeout_s: float = 20.0
) -> Generator[DownloadStep, None, None]:
    """Downloads the missing files of a dataset into `data_dir`; yields about 10 times a second.

    `source` replaces `known_source(name)`. `timeout_s` is the longest silence of a mirror, in seconds. Complete files
    are kept, so calling again resumes. Closing the generator stops the download and removes partial files; a caller
    that may end early should hold it in `contextlib.closing`. With nothing to download, nothing is yielded or written.

    Raises DataError when the dataset cannot be downloaded, no mirror can give a file, the folder cannot be written,
    another session is downloading into it, or a mirror is no http(s) URL.
    """
    source = known_source(name) if source is None else source
    for mirror in source.mirrors:
        if not mirror.lower().startswith(("http://", "https://")):
            raise DataError(
                f"{source.title} is downloaded from http:// and https:// addresses only, and '{mirror}' is neither."
            )
    folder = Path(data_dir).absolute() / source.folder
    try:
        # checked before the lock is taken, as a complete folder may be read-only
        if all(resource.is_whole(folder) for resource in source.resources):
            return
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder, source.title):
            for index, resource in enumerate(source.resources, start=1):
                for file in (resource.filename, *resource.files):
                    for leftover in folder.glob(f"{file}.*.part"):  # of a process that was killed
                        leftover.unlink()
                if not resource.is_whole(folder):
                    yield from _fetch(resource, source, folder, timeout_s, index)
    except OSError as error:  # of the folder; those of a mirror are SourceError
        raise DataError(
            f"{source.title} cannot be written to {folder} ({error.strerror or error}). "
            "Make room there, or set MNIST_LAB_DATA to a folder that can be written."
        ) from None


def _fetch(resource: Resource, source: Source, folder: Path, timeout_s: float, index: int) -> Iterator[DownloadStep]:
    """Tries each mirror until `resource` lies unpacked in `folder`. Raises DataError when all have failed."""
    reasons = []
    for mirror in source.mirrors:
        progress = DownloadStep(resource.filename, 0, None, mirror, index, len(source.resources))
        yield progress  # before the connection: a mirror may take `timeout_s` to answer
        try:
            with contextlib.ExitStack() as temporary:
                packed, *unpacked = (
                    temporary.enter_context(_temporary(folder, name)) for name in (resource.filename, *resource.files)
                )
                kept = folder / resource.filename
                if resource.stays and kept.is_file() and md5_of(kept) == resource.md5:
                    packed = kept
                else:
                    url = f"{mirror.rstrip('/')}/{resource.filename}"
                    for done, total in _receive(url, resource, packed, timeout_s):
                        progress = replace(progress, done_bytes=done, total_bytes=total)
                        yield progress
                resource.unpack(packed, unpacked)
                for path, name in zip(unpacked, resource.files, strict=True):
                    os.replace(path, folder / name)
                if resource.stays and packed != kept:
                    os.replace(packed, kept)
        except SourceError as failure:
            host = mirror.split("/")[2].rpartition("@")[2]  # without a password
            reasons.append(f"{host}: {failure}")
        else:
            yield replace(progress, total_bytes=progress.done_bytes)
            return
    why = "; ".join(reasons) or "no mirror was named"
    files = [name for resource in source.resources for name in resource.files]
    by_hand = f"the {len(files)} unpacked files ({resource.files[0]} and so on)"
    if resource.stays:
        by_hand = f"{resource.filename}, got in another way,"
    raise DataError(
        f"{resource.filename} could not be downloaded ({why}). Try again later, or put {by_hand} by hand into "
        f"{folder}; meanwhile the built-in dataset 'digits' works."
    )


def _receive(url: str, resource: Resource, path: Path, timeout_s: float) -> Iterator[tuple[int, int | None]]:
    """Writes the body of `url` to `path`; yields (bytes so far, total bytes or None). Raises SourceError."""
    digest = hashlib.md5(usedforsecurity=False)
    done, total, last = 0, None, -math.inf
    with open(path, "xb") as file, contextlib.closing(_body(url, timeout_s)) as body:
        for chunk, total in body:
            done += len(chunk)
            if max(done, total or 0) > resource.max_bytes:
                raise SourceError(f"larger than {resource.max_bytes / 1e6:.0f} MB")
            file.write(chunk)
            digest.update(chunk)
            if done and time.monotonic() - last >= SECONDS_BETWEEN_PROGRESS:
                yield done, total
                last = time.monotonic()
    if total is not None and done != total:
        raise SourceError(f"broke off after {done:,} of {total:,} bytes")
    if digest.hexdigest() != resource.md5.lower():
        raise SourceError("wrong checksum")
    yield done, total


def _body(url: str, timeout_s: float) -> Generator[tuple[bytes, int | None], None, None]:
    """Yields (bytes as they arrive, length of the whole body or None). Raises SourceError for any failure."""
    try:
        request = urllib.request.Request(url, headers={"User-Agent": "mnist-lab"})
        with _opener().open(request, timeout=timeout_s) as response:
            total = response.length
            yield b"", total  # an empty body has a length too
            while chunk := response.read1(2**16):  # read() would wait for all 64 KB, and hide progress
                yield chunk, total
    except HTTPError as error:
        error.close()
        raise SourceError(f"HTTP {error.code} {responses.get(error.code, '')}".rstrip()) from None
    except (OSError, HTTPException, ValueError) as error:  # ValueError: an address that cannot be one
        cause = error.reason if isinstance(error, URLError) else error
        if isinstance(cause, TimeoutError):
            raise SourceError(f"no answer within {timeout_s:g} s") from None
        reason = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
        # the reason may contain text of the server, of any length and with control characters
        raise SourceError("".join(c if c.isprintable() else " " for c in reason[:100]).strip()) from None


def _opener() -> urllib.request.OpenerDirector:
    """urllib's opener with proxies and redirects but without file: and ftp:, to which a mirror could redirect."""
    opener = urllib.request.OpenerDirector()
    for handler in ("Proxy", "HTTP", "HTTPS", "HTTPDefaultError", "HTTPRedirect", "Unknown"):
        opener.add_handler(getattr(urllib.request, f"{handler}Handler")())
    opener.add_handler(urllib.request.HTTPErrorProcessor())
    return opener


@contextlib.contextmanager
def _temporary(folder: Path, name: str) -> Iterator[Path]:
    """A unique path beside `name`, removed afterwards. (A file of mkstemp is readable by its owner alone.)"""
    path = folder / f"{name}.{uuid.uuid4().hex[:12]}.part"
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(folder: Path, title: str) -> Iterator[None]:
    """Holds the folder's lock. Raises DataError when another session or process holds it.

    The empty lock file stays: after its removal two sessions could hold locks on two files of the same name.
    """
    # not thread_local: Streamlit may drop a generator, and so release the lock, in another thread
    lock = FileLock(folder / ".download.lock", thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise DataError(f"{title} is already being downloaded to {folder} by another session: wait for it.") from None
    try:
        yield
    finally:
        lock.release()
