"""Collections: drawings that people have labelled, as pen strokes with their time, a file for each person's name.

A file is in the format of `drawings:`, so that it is a dataset as it lies there. Each drawing has an `id`; every fifth
of a label is marked as `test`, is never learned from and judges what a model has learned from the others.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import random
import re
import secrets
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, cast

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mnist_core.data.stroke_files import MAX_POINTS, Coordinate, Name, StrokeFile, parse_own, parse_strokes, unpacked
from mnist_core.errors import DataError, DrawingError
from mnist_core.system.files import disk_error_sentence, write_atomic

FOLDER = "drawings"
SIDE = 560.0  # of the box, that of the lab's canvas
MAX_DRAWINGS = 2000
FIFTH = 5  # every fifth drawing of a label is held out
WAIT_SECONDS = 10.0
Moment = Annotated[float, Field(ge=-1e15, le=1e15, allow_inf_nan=False)]
TimedPoint = tuple[Coordinate, Coordinate] | tuple[Coordinate, Coordinate, Moment]
TimedStrokes = list[list[TimedPoint]]
Strokes = Sequence[Sequence[Sequence[float]]]


class Kept(BaseModel):
    """A drawing that is kept: strokes of points (x, y) or (x, y, milliseconds) in a box of SIDE, y downwards."""

    model_config = ConfigDict(strict=True)

    id: str = Field("", pattern=r"^[0-9a-f]{0,32}$")
    label: Name
    strokes: Annotated[list[Annotated[list[TimedPoint], Field(max_length=MAX_POINTS)]], Field(max_length=1000)]
    writer: Name | None = None
    test: bool = False


class _File(BaseModel):
    model_config = ConfigDict(strict=True)

    box: tuple[float, float]
    y_axis: Literal["down"]
    digits: Annotated[list[Kept], Field(max_length=MAX_DRAWINGS)]


@dataclass(frozen=True)
class Collection:
    """The drawings of `name` (empty: of all who gave none), in `folder`. Safe between threads and processes."""

    folder: Path
    name: str = ""

    @property
    def path(self) -> Path:
        """The file. Whatever the name is, it leads nowhere else, and no two names share one."""
        plain = unicodedata.normalize("NFKD", self.name).encode("ascii", "ignore").decode().lower()
        word = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:30]
        if not self.name:
            return self.folder / "without-a-name.json.gz"
        return self.folder / f"{word or 'name'}-{hashlib.sha256(self.name.encode()).hexdigest()[:8]}.json.gz"

    def drawings(self) -> list[Kept]:
        """All that are kept, in the order in which they came. Raises DataError where the file is damaged."""
        try:
            with open(self.path, "rb") as file:
                return parse_own(self.path, unpacked(file, self.path), _File).digits
        except FileNotFoundError:
            return []
        except OSError as error:
            raise DataError(f"{self.path} cannot be read ({error.strerror or error}).") from None

    def add(self, label: str, strokes: object, instead_of: str = "") -> Kept:
        """Keeps a drawing, in place of the one with the id `instead_of` where there is one.

        Raises DrawingError for what is no drawing, DataError where it cannot be kept.
        """
        try:
            drawing = self._of(label, [[_scaled(point) for point in stroke] for stroke in cast(Strokes, strokes)])
        except (TypeError, ValueError, IndexError, KeyError, OverflowError):
            drawing = None
        if drawing is None:
            raise DrawingError("This is no drawing with a label, so it was not kept. Draw it again.")
        if not 0 < sum(map(len, drawing.strokes)) <= MAX_POINTS:
            raise DrawingError(f"A drawing has 1 to {MAX_POINTS:,} points: draw something, with fewer of them.")
        with self._changed() as kept:
            kept[:] = [other for other in kept if other.id != instead_of]
            return self._append(kept, drawing)

    def remove(self, drawing_id: str) -> None:
        """Deletes one drawing; nothing where it is gone already. Raises DataError."""
        with self._changed() as kept:
            kept[:] = [other for other in kept if other.id != drawing_id]

    def take(self, content: bytes, name: str) -> tuple[int, int]:
        """Adds the drawings of a file of pen strokes called `name` → how many were added, and were here already.

        All of them count as this collection's person's. What the file marks as test stays held out. Raises DataError.
        """
        path = Path(name)
        found = parse_strokes(io.BytesIO(content), path)  # whatever its format and box
        timed: Sequence[Strokes] = _timed(content, path, len(found.digits)) or [digit.strokes for digit in found.digits]
        marked = found.marked() is not None
        with self._changed() as kept:
            here = {_content(drawing) for drawing in kept}
            before = len(kept)
            for digit, strokes in zip(found.digits, timed, strict=True):
                drawing = self._of(str(digit.label), _placed(strokes, found), digit.test)
                if drawing is None:
                    raise DataError(f"A {digit.label} in {path} lies far outside of its box: take it out.")
                if (key := _content(drawing)) not in here:
                    here.add(key)
                    self._append(kept, drawing, settled=marked)
            added = len(kept) - before
        return added, len(found.digits) - added

    def export(self) -> bytes:
        """The file as it is. Raises DataError where there is none."""
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise DataError(f"The drawings cannot be read ({error.strerror or error}).") from None

    def _of(self, label: str, strokes: TimedStrokes, test: bool = False) -> Kept | None:
        """A new drawing of this collection's person; None for what is none. Empty strokes are dropped."""
        drawn = [stroke for stroke in strokes if stroke]
        try:
            return Kept(id=secrets.token_hex(8), label=label, strokes=drawn, writer=self.name or None, test=test)
        except ValidationError:
            return None

    def _append(self, kept: list[Kept], drawing: Kept, settled: bool = False) -> Kept:
        if len(kept) >= MAX_DRAWINGS:
            raise DataError(f"There are {MAX_DRAWINGS:,} drawings, the limit: remove some, or export them first.")
        if not settled:
            alike = [other.test for other in kept if str(other.label) == str(drawing.label)]
            drawing.test = alike.count(False) >= (FIFTH - 1) * (alike.count(True) + 1)
        kept.append(drawing)
        return drawing

    @contextlib.contextmanager
    def _changed(self) -> Iterator[list[Kept]]:
        """The drawings, to be changed in place; written when the block ends without an error."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.path.with_suffix(".lock"), timeout=WAIT_SECONDS):
                kept = self.drawings()
                yield kept
                if not kept:
                    self.path.unlink(missing_ok=True)
                    return
                file = _File.model_construct(box=(SIDE, SIDE), y_axis="down", digits=kept)
                write_atomic(self.path, gzip.compress(file.model_dump_json(exclude_none=True).encode(), mtime=0))
        except Timeout:
            raise DataError("Another drawing is being kept and does not end. Try again.") from None
        except OSError as error:
            raise DataError(f"The drawings are as they were. {disk_error_sentence(error)}, and try again.") from None


def counts(drawings: Sequence[Kept]) -> Counter[str]:
    """How many there are of each label."""
    return Counter(str(drawing.label) for drawing in drawings)


def next_label(classes: Sequence[str], have: Counter[str], goal: int, drawn: int) -> str:
    """The class to ask for after `drawn` drawings: one of those drawn least often, in an order that looks random."""
    least = min(have[name] for name in classes)
    choices = [name for name in classes if have[name] == least < goal]
    return random.Random(drawn * 1_000_003 + least).choice(choices)


def _scaled(point: Sequence[float], scale: float = 1.0) -> TimedPoint:
    """A point to a tenth of a pixel and to a millisecond, without what else stands at it."""
    x, y = round(point[0] * scale, 1), round(point[1] * scale, 1)
    return (x, y, float(round(point[2]))) if len(point) > 2 else (x, y)


def _placed(strokes: Strokes, file: StrokeFile) -> TimedStrokes:
    """The strokes of another file, in the box of this lab."""
    scale, up = SIDE / max(file.box), file.y_axis == "up"
    return [[_scaled((x, file.box[1] - y if up else y, *rest), scale) for x, y, *rest in stroke] for stroke in strokes]


def _timed(content: bytes, path: Path, count: int) -> list[list[list[list[float]]]] | None:
    """The strokes with all that stands at their points, of a file in the lab's own format; of another None."""

    class Raw(BaseModel):
        strokes: list[list[list[float]]]

    class RawFile(BaseModel):
        digits: list[Raw]

    with contextlib.suppress(DataError):
        strokes = [digit.strokes for digit in parse_own(path, unpacked(io.BytesIO(content), path), RawFile).digits]
        strokes = [drawing for drawing in strokes if any(drawing)]
        return strokes if len(strokes) == count else None
    return None


def _content(drawing: Kept) -> tuple[object, ...]:
    return str(drawing.label), tuple(tuple(point[:2] for point in stroke) for stroke in drawing.strokes)
