"""Import: a bundle that another lab made becomes a run here. It is untrusted input, checked before anything is kept.

Nothing is extracted by its name and nothing is unpickled: a bundle's files are looked for by their own names, read
within limits, parsed, and the weights compared with their card, in a folder that becomes a run only when all is well.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

from mnist_core.config import TrainConfig, parse_stored_config
from mnist_core.errors import ConfigError, RunError
from mnist_core.models.card import Card
from mnist_core.models.checkpoint import CARD, WEIGHTS, load_checkpoint
from mnist_core.models.weights_file import read_weights_file
from mnist_core.runs.history import EventLog
from mnist_core.runs.lines import parse_event
from mnist_core.runs.run import META, Run, new_folder, parse_owner
from mnist_core.runs.weight_snapshots import FOLDER, NAME, snapshot_path, snapshots
from mnist_core.system.files import write_json
from mnist_core.system.settings import runs_folder
from mnist_core.training.events import Event

LIMITS = {"config.json": 10**6, CARD: 10**6, WEIGHTS: 500 * 10**6, "metrics.csv": 500 * 10**6}
"""The files of a bundle that are read, and the most bytes that each may have unpacked."""
SNAPSHOTS_LIMIT = 500 * 10**6  # bytes of all of them
MOST_ENTRIES = 1000  # of an archive; a bundle has five, and its snapshots
MOST_EVENTS = 5_000_000
FLUSHED = 1000  # events are written at a time
TEXTS = ("event", "reason", "diagnosis", "note", "device", "processor", "field")  # what stays text in metrics.csv
_BLOCK = 2**20
_Open = Callable[[], IO[bytes]]


def import_bundle(source: Path | bytes, runs_dir: Path | str | None = None, owner: str = "", name: str = "") -> Run:
    """A bundle, as a .zip or its bytes, a folder of its files, or a checkpoint's folder → a new run that has ended.

    `name` is what its status calls it (default: the file's name). Without measurements the run has none. Raises
    ConfigError for a wrong owner, RunError or CheckpointError where the bundle is not one, is damaged, too large or
    cannot be kept.
    """
    name = name or (source.name if isinstance(source, Path) else "a bundle")
    root, owner = Path(runs_dir if runs_dir is not None else runs_folder()), parse_owner(owner)
    with _files(source, name) as files:
        for needed in (CARD, WEIGHTS):
            if needed not in files:
                raise RunError(f"{name} is no bundle of a run, nor a checkpoint: it has no {needed}.")
        try:
            root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=root, prefix=".import-") as scratch:
                return _keep(files, name, Path(scratch) / "run", root, owner)
        except OSError as error:
            raise RunError(f"{name} cannot be kept in {root.resolve()} ({error.strerror or error}).") from None


def _keep(files: dict[str, _Open], name: str, folder: Path, root: Path, owner: str) -> Run:
    unchecked = folder / "checkpoints" / "imported"
    unchecked.mkdir(parents=True)
    for part in (CARD, WEIGHTS):
        _copy(files[part], unchecked / part, LIMITS[part], name)
    card = load_checkpoint(unchecked).card
    checkpoint = unchecked.with_name(f"epoch-{card.epoch:03d}")
    os.replace(unchecked, checkpoint)
    run, completed = Run(folder), False
    _keep_snapshots(files, name, run, card)
    with EventLog(run.metrics_path) as log:
        for number, event in enumerate(_events(files["metrics.csv"], name) if "metrics.csv" in files else ()):
            log.add(event)
            completed = completed or (event["event"] == "end" and event["reason"] == "completed")
            if number % FLUSHED == 0:
                log.flush()
        log.sync()
    write_json(run.config_path, _config(files, name, card.config).model_dump(mode="json"))
    if owner:
        write_json(folder / META, {"owner": owner, "pinned": False})
    complete = completed or ("metrics.csv" not in files and "test_accuracy" in card.metrics)
    run.finish("completed" if complete else "stopped", f"Imported from {name}.", checkpoint)
    place = new_folder(root, card.config.recipe)
    place.rmdir()  # a folder can be moved to a name that is free
    os.replace(folder, place)
    return Run(place)


def _keep_snapshots(files: dict[str, _Open], name: str, run: Run, card: Card) -> None:
    """Copies and checks the weights of earlier steps. Raises RunError, CheckpointError and OSError."""
    left = SNAPSHOTS_LIMIT
    for part in (part for part in files if NAME.fullmatch(part)):
        path = run.folder / FOLDER / part
        path.parent.mkdir(exist_ok=True)
        _copy(files[part], path, left, name)
        left -= path.stat().st_size
        kept = read_weights_file(path).card
        if path != snapshot_path(run, kept.step) or (kept.classes, kept.input_shape) != (
            card.classes,
            card.input_shape,
        ):
            raise RunError(f"{part} in {name} is no snapshot of this run.")


@contextlib.contextmanager
def _files(source: Path | bytes, name: str) -> Iterator[dict[str, _Open]]:
    """The files of LIMITS and the snapshots that are there: in a folder, or in a .zip, at its top or in its only
    folder."""
    if isinstance(source, Path) and source.is_dir():
        found = {part: _file(source / part) for part in LIMITS if (source / part).is_file()}
        yield found | {path.name: _file(path) for path in snapshots(Run(source)).values() if path.is_file()}
        return
    try:
        if isinstance(source, Path) and not source.is_file():
            raise RunError(f"There is no bundle at {source}: check the path.")
        with zipfile.ZipFile(source if isinstance(source, Path) else io.BytesIO(source)) as archive:
            entries = archive.infolist()
            if len(entries) > MOST_ENTRIES:
                raise RunError(f"{name} has {len(entries):,} files: it is no bundle of a run.")
            found = {}
            for entry in entries:
                path = PurePosixPath(entry.filename)
                of_run = path.name in LIMITS and len(path.parts) <= 2
                of_step = NAME.fullmatch(path.name) and len(path.parts) <= 3 and path.parent.name == FOLDER
                if (of_run or of_step) and "__MACOSX" not in path.parts:
                    if path.name in found:
                        raise RunError(f"{name} has several files {path.name}: it is no bundle of one run.")
                    found[path.name] = _opener(archive, entry)
            yield found
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, UnicodeError):
        raise RunError(f"{name} is no whole .zip: download or copy it again.") from None


def _file(path: Path) -> _Open:
    return lambda: path.open("rb")


def _opener(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> _Open:
    return lambda: archive.open(entry)


def _copy(open_file: _Open, target: Path, most: int, name: str) -> None:
    """Copies at most `most` bytes, whatever the archive says of its size. Raises RunError, and OSError of the disk."""
    taken = 0
    with open_file() as file, target.open("wb") as copy:
        while block := file.read(_BLOCK):
            taken += len(block)
            if taken > most:
                raise RunError(f"{target.name} in {name} has over {most / 1e6:,.0f} MB: it is no bundle of this lab.")
            copy.write(block)


def _config(files: dict[str, _Open], name: str, otherwise: TrainConfig) -> TrainConfig:
    if "config.json" not in files:
        return otherwise
    with files["config.json"]() as file:
        content = file.read(LIMITS["config.json"] + 1)
    try:
        if len(content) > LIMITS["config.json"]:
            raise ValueError
        return parse_stored_config(json.loads(content))
    except ConfigError as error:
        raise RunError(f"config.json in {name} is damaged: {error}") from None
    except (ValueError, RecursionError):
        raise RunError(f"config.json in {name} is damaged: it is no JSON.") from None


def _events(open_file: _Open, name: str) -> Iterator[Event]:
    """The rows of metrics.csv as events. Raises RunError for a row that is none."""
    with open_file() as file, io.TextIOWrapper(_bounded(file), "utf-8", newline="") as text:
        try:
            for number, row in enumerate(csv.DictReader(text), 2):
                values = {key: _value(key, cell) for key, cell in row.items() if key and isinstance(cell, str) and cell}
                event = parse_event(json.dumps(values, ensure_ascii=False).encode(errors="replace") + b"\n")
                if event is None or number > MOST_EVENTS:
                    raise RunError(f"metrics.csv in {name} is damaged: row {number:,} is no event of a training.")
                yield event
        except (UnicodeDecodeError, csv.Error, zlib.error, zipfile.BadZipFile):
            raise RunError(f"metrics.csv in {name} is damaged: it is no CSV in UTF-8.") from None
        except _TooLargeError:
            most = LIMITS["metrics.csv"] / 1e6
            raise RunError(f"metrics.csv in {name} has over {most:,.0f} MB: it is no bundle of this lab.") from None


def _value(name: str, text: str) -> Any:
    """A cell as what `write_events` was given."""
    if name in TEXTS:
        return text
    if text in ("True", "False"):
        return text == "True"
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text


def _bounded(file: IO[bytes]) -> io.BufferedReader:
    return io.BufferedReader(_Bounded(file, LIMITS["metrics.csv"]))


class _TooLargeError(Exception):
    """More came than a file may have."""


class _Bounded(io.RawIOBase):
    """A file that ends in an error after so many bytes."""

    def __init__(self, file: IO[bytes], most: int) -> None:
        self._file, self._left = file, most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self._file.read(len(buffer))
        self._left -= len(block)
        if self._left < 0:
            raise _TooLargeError
        buffer[: len(block)] = block
        return len(block)
