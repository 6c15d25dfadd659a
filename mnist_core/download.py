"""download_mnist(data_dir) → progress as it arrives; MNIST in torchvision's layout, each file whole or not there."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import math
import os
import re
import time
import urllib.request
import uuid
import zlib
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from http.client import HTTPException, responses
from pathlib import Path
from urllib.error import HTTPError, URLError

from filelock import FileLock, Timeout

from mnist_core.errors import DataError

MAX_BYTES = 64 * 2**20  # of one file, packed or unpacked: MNIST's largest is 47 MB, a gzip bomb has no end
SECONDS_BETWEEN_PROGRESS = 0.1


@dataclass(frozen=True)
class Resource:
    """One file to fetch: its name on the mirrors (ending in .gz) and the MD5 of those packed bytes, in hex."""

    filename: str
    md5: str

    @property
    def unpacked(self) -> str:
        return self.filename.removesuffix(".gz")


@dataclass(frozen=True)
class Progress:
    """Where a download stands: packed bytes of this file (total None: the mirror does not say, or not yet).

    `file_index` counts from 1 to `file_count`; `done_bytes` starts at 0 again with each mirror that is tried.
    """

    file: str
    done_bytes: int
    total_bytes: int | None
    mirror: str
    file_index: int
    file_count: int


class _MirrorError(Exception):
    """This mirror cannot give this file; the message is a brief reason, and the next mirror is to be tried."""


def mnist_sources() -> tuple[list[str], list[Resource]]:
    """(mirror URLs, the four files), as torchvision knows them: one list less to keep up to date.

    MNIST_LAB_MIRRORS (URLs apart by spaces) replaces the mirrors: a school may keep a copy in its own network.
    """
    from torchvision.datasets import MNIST  # 1.3 s and 160 MB: only where something is downloaded

    mirrors = os.environ.get("MNIST_LAB_MIRRORS", "").split() or list(MNIST.mirrors)
    return mirrors, [Resource(name, md5) for name, md5 in MNIST.resources]


def download_mnist(
    data_dir: Path | str,
    mirrors: Sequence[str] | None = None,
    resources: Sequence[Resource] | None = None,
    timeout_s: float = 20.0,
) -> Generator[Progress, None, None]:
    """Fetch what is missing into `data_dir`/MNIST/raw, yielding about 10 times a second; returns when all is there.

    `timeout_s` is the longest silence of a mirror, in seconds. Files that are complete are kept and not fetched again,
    so calling again resumes. Closing the generator stops the download and removes what is half-written; a caller that
    may break off early should hold it in `contextlib.closing`. With nothing to fetch, nothing is yielded or written.

    Raises DataError when no mirror can give a file, the folder cannot be written, another session is downloading
    into it, or a mirror is no http(s) URL.
    """
    if mirrors is None or resources is None:
        known_mirrors, known_resources = mnist_sources()
        mirrors = known_mirrors if mirrors is None else mirrors
        resources = known_resources if resources is None else resources
    for mirror in mirrors:
        if not mirror.lower().startswith(("http://", "https://")):
            raise DataError(f"MNIST is downloaded from http:// and https:// addresses only, and '{mirror}' is neither.")
    folder = Path(data_dir).absolute() / "MNIST" / "raw"
    try:
        # asked before the lock, as a complete folder may be read-only
        if all(_is_idx(folder / resource.unpacked) for resource in resources):
            return
        folder.mkdir(parents=True, exist_ok=True)
        with _only_one(folder):
            for index, resource in enumerate(resources, start=1):
                for leftover in folder.glob(f"{resource.unpacked}*.part"):  # of a process that was killed
                    leftover.unlink()
                if not _is_idx(folder / resource.unpacked):
                    yield from _fetch(resource, mirrors, folder, timeout_s, index, len(resources))
    except OSError as error:  # mirrors' errors never come here: they are _MirrorError
        raise DataError(
            f"MNIST cannot be written to {folder} ({error.strerror or error}). "
            "Make room there, or set MNIST_LAB_DATA to a folder that can be written."
        ) from None


def _fetch(
    resource: Resource, mirrors: Sequence[str], folder: Path, timeout_s: float, index: int, count: int
) -> Iterator[Progress]:
    """Try each mirror in turn until `resource` lies unpacked in `folder`. Raises DataError when none could give it."""
    reasons = []
    for mirror in mirrors:
        progress = Progress(resource.filename, 0, None, mirror, index, count)
        yield progress  # before the connection: a mirror may take `timeout_s` to answer
        try:
            with _temporary(folder, resource.filename) as packed, _temporary(folder, resource.unpacked) as unpacked:
                url = f"{mirror.rstrip('/')}/{resource.filename}"
                for done, total in _receive(url, resource.md5, packed, timeout_s):
                    progress = replace(progress, done_bytes=done, total_bytes=total)
                    yield progress
                _unpack(packed, unpacked)
                os.replace(unpacked, folder / resource.unpacked)
        except _MirrorError as failure:
            host = mirror.split("/")[2].rpartition("@")[2]  # without a password
            reasons.append(f"{host}: {failure}")
        else:
            yield replace(progress, total_bytes=progress.done_bytes)
            return
    why = "; ".join(reasons) or "no mirror was named"
    raise DataError(
        f"{resource.filename} could not be downloaded ({why}). Try again later, or put the {count} unpacked files "
        f"({resource.unpacked} and so on) by hand into {folder}; meanwhile the built-in dataset 'digits' works."
    )


def _receive(url: str, md5: str, path: Path, timeout_s: float) -> Iterator[tuple[int, int | None]]:
    """Write the body of `url` to `path`, yielding (bytes so far, bytes in all or None). Raises _MirrorError."""
    digest = hashlib.md5(usedforsecurity=False)
    done, total, last = 0, None, -math.inf
    with open(path, "xb") as file, contextlib.closing(_body(url, timeout_s)) as body:
        for chunk, total in body:
            done += len(chunk)
            if max(done, total or 0) > MAX_BYTES:
                raise _MirrorError(f"larger than {MAX_BYTES / 1e6:.0f} MB")
            file.write(chunk)
            digest.update(chunk)
            if done and time.monotonic() - last >= SECONDS_BETWEEN_PROGRESS:
                yield done, total
                last = time.monotonic()
    if total is not None and done != total:
        raise _MirrorError(f"broke off after {done:,} of {total:,} bytes")
    if digest.hexdigest() != md5.lower():
        raise _MirrorError("wrong checksum")
    yield done, total


def _body(url: str, timeout_s: float) -> Generator[tuple[bytes, int | None], None, None]:
    """(bytes as they arrive, length of the whole body or None). Whatever goes wrong out there is a _MirrorError."""
    try:
        request = urllib.request.Request(url, headers={"User-Agent": "mnist-lab"})
        with _opener().open(request, timeout=timeout_s) as response:
            total = response.length
            yield b"", total  # an empty body has a length too
            while chunk := response.read1(2**16):  # read() would wait for all 64 KB, and hide progress
                yield chunk, total
    except HTTPError as error:
        error.close()
        raise _MirrorError(f"HTTP {error.code} {responses.get(error.code, '')}".rstrip()) from None
    except (OSError, HTTPException, ValueError) as error:  # ValueError: an address that cannot be one
        cause = error.reason if isinstance(error, URLError) else error
        if isinstance(cause, TimeoutError):
            raise _MirrorError(f"no answer within {timeout_s:g} s") from None
        reason = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
        # part of it may be the server's own words: of any length, and not for a terminal
        raise _MirrorError("".join(c if c.isprintable() else " " for c in reason[:100]).strip()) from None


def _opener() -> urllib.request.OpenerDirector:
    """urllib's opener with proxies and redirects but without file: and ftp:, to which a mirror could redirect."""
    opener = urllib.request.OpenerDirector()
    for handler in ("Proxy", "HTTP", "HTTPS", "HTTPDefaultError", "HTTPRedirect", "Unknown"):
        opener.add_handler(getattr(urllib.request, f"{handler}Handler")())
    opener.add_handler(urllib.request.HTTPErrorProcessor())
    return opener


def _unpack(packed: Path, unpacked: Path) -> None:
    """Gunzip to disk, fsynced. Raises _MirrorError when that is no gzip, too large, or no whole IDX file."""
    try:
        with gzip.open(packed) as source, open(unpacked, "xb") as file:
            while chunk := source.read(2**20):
                if file.tell() + len(chunk) > MAX_BYTES:
                    raise _MirrorError(f"unpacks to more than {MAX_BYTES / 1e6:.0f} MB")
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
    except (gzip.BadGzipFile, EOFError, zlib.error):  # BadGzipFile is an OSError, yet not the folder's fault
        raise _MirrorError("not a gzip file") from None
    if not _is_idx(unpacked):
        raise _MirrorError("not a whole MNIST file")


def _is_idx(path: Path) -> bool:
    """Whether `path` is as long as its IDX header says, of bytes, and of the dimensions its name says (`idx3`)."""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        zero, kind, rank = int.from_bytes(file.read(2)), file.read(1), int.from_bytes(file.read(1))
        sizes = [int.from_bytes(file.read(4)) for _ in range(rank)]
    named = re.search(r"idx(\d)-ubyte", path.name)
    right_kind = zero == 0 and kind == b"\x08" and rank > 0 and (named is None or int(named[1]) == rank)
    return right_kind and math.prod(sizes) > 0 and path.stat().st_size == 4 + 4 * rank + math.prod(sizes)


@contextlib.contextmanager
def _temporary(folder: Path, name: str) -> Iterator[Path]:
    """A name of its own beside `name`, gone afterwards. (mkstemp would give a file that only its owner may read.)"""
    path = folder / f"{name}.{uuid.uuid4().hex[:12]}.part"
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Hold the folder's lock. Raises DataError when another session or process holds it.

    The empty lock file stays: to remove it would let two sessions hold locks on two files of the same name.
    """
    # not thread_local: Streamlit may drop a generator, and so release the lock, in another thread
    lock = FileLock(folder / ".download.lock", thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise DataError(f"MNIST is already being downloaded to {folder} by another session: wait for it.") from None
    try:
        yield
    finally:
        lock.release()
