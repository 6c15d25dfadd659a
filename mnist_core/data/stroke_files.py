"""Files of pen strokes: the lab's JSON, and Quick, Draw!'s with a drawing a line; plain or gzipped, UTF-8 or UTF-16."""

from __future__ import annotations

import gzip
import itertools
import zlib
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, ValidationError

from mnist_core.data.splits import natural_sort_key
from mnist_core.errors import DataError, DrawingError

MAX_BYTES = 64 * 2**20  # packed or unpacked
MAX_DIGITS = 100_000
MAX_POINTS = 20_000  # of a drawing by itself
Coordinate = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]


def _without_time(point: Any) -> Any:
    """[x, y, t] and [x, y, t, pressure] → (x, y)."""
    return tuple(point[:2]) if isinstance(point, list) and 2 <= len(point) <= 4 else point


Point = Annotated[tuple[Coordinate, Coordinate], BeforeValidator(_without_time)]
Side = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1, max_length=60)] | Annotated[int, Field(ge=0, le=10**9)]


class Drawing(BaseModel):
    """One drawing by itself: pen trajectories inside a box (width, height); `y_axis` is the direction of y."""

    model_config = ConfigDict(strict=True)

    box: tuple[Side, Side]
    y_axis: Literal["up", "down"]
    strokes: Annotated[list[Annotated[list[Point], Field(max_length=MAX_POINTS)]], Field(max_length=1000)]


class Digit(BaseModel):
    """One character: its class, its strokes and perhaps who wrote it. `test` ones are kept to judge a model by."""

    model_config = ConfigDict(strict=True)

    label: Name
    strokes: Annotated[list[list[Point]], Field(max_length=1000)]
    writer: Name | None = None
    test: bool = False


class StrokeFile(BaseModel):
    """The file's format: digits as pen trajectories inside a box (width, height); `y_axis` is the direction of y."""

    model_config = ConfigDict(strict=True)

    box: tuple[Side, Side]
    y_axis: Literal["up", "down"]
    digits: Annotated[list[Digit], Field(min_length=1, max_length=MAX_DIGITS)]
    _warning: str = PrivateAttr("")

    @property
    def warning(self) -> str:
        """A sentence about what was left out, or empty."""
        return self._warning

    def classes(self) -> tuple[str, ...]:
        return tuple(sorted({str(digit.label) for digit in self.digits}, key=natural_sort_key))

    def labels(self) -> np.ndarray:
        """(N,) int64 indices into `classes`."""
        index = {name: number for number, name in enumerate(self.classes())}
        return np.array([index[str(digit.label)] for digit in self.digits], dtype=np.int64)

    def marked(self) -> np.ndarray | None:
        """(N,) bool: the digits that the file itself marks as test; None where it marks none."""
        marks = np.array([digit.test for digit in self.digits])
        return marks if marks.any() else None


class _QuickDraw(BaseModel):
    """A line of Quick, Draw!'s files: strokes as lists of x, of y and perhaps of milliseconds, y counted downwards."""

    model_config = ConfigDict(strict=True)

    word: Name
    drawing: Annotated[
        list[Annotated[tuple[list[Coordinate], list[Coordinate]], BeforeValidator(_without_time)]],
        Field(max_length=1000),
    ]


F = TypeVar("F", bound=BaseModel)


def read_strokes(path: Path) -> StrokeFile:
    """The strokes in `path`; empty strokes, and digits that have no others, are left out and counted in its `warning`.

    Raises DataError when the file is damaged, too large or in neither format, or nothing is left.
    """
    try:
        with open(path, "rb") as file:
            return parse_strokes(file, path)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}).") from None


def parse_strokes(content: BinaryIO, path: Path) -> StrokeFile:
    """The same of a file's `content`; `path` is its name in sentences."""
    text = unpacked(content, path)
    first = text.lstrip()[:100_000].partition(b"\n")[0].strip()
    file = _quick_draw(path, text) if b'"drawing"' in first and b'"digits"' not in first else parse_own(path, text)
    empty = sum(not stroke for digit in file.digits for stroke in digit.strokes)
    kept = [digit for digit in file.digits if any(digit.strokes)]
    blank = len(file.digits) - len(kept)
    if not kept:
        raise DataError(f"{path} has no visible stroke in any of its {blank:,} digits: record them again.")
    said = []
    if blank:
        said.append(f"{blank:,} {'digit' if blank == 1 else 'digits'} without a stroke")
    if empty:
        said.append(f"{empty:,} empty {'stroke' if empty == 1 else 'strokes'}")
    file.digits = kept
    if said:
        file._warning = f"{' and '.join(said)} in {path.name} {'was' if blank + empty == 1 else 'were'} left out."
    return file


def read_drawing(content: bytes) -> Drawing:
    """JSON → the drawing. Raises DrawingError where it is another format, or has no point or too many."""
    try:
        drawing = Drawing.model_validate_json(content)
    except ValidationError as error:
        raise DrawingError(
            f"The drawing is not in the format of pen strokes: {_problem(error)} It is "
            '{"box": [w, h], "y_axis": "up" or "down", "strokes": [[[x, y], …], …]}.'
        ) from None
    if not 0 < sum(map(len, drawing.strokes)) <= MAX_POINTS:
        raise DrawingError(f"A drawing has 1 to {MAX_POINTS:,} points: draw something, with fewer of them.")
    return drawing


def parse_own(path: Path, content: bytes, form: type[F] = StrokeFile) -> F:  # type: ignore[assignment]
    """JSON in the lab's own format → the file in a `form` of it. Raises DataError."""
    try:
        return form.model_validate_json(content)
    except ValidationError as error:
        raise DataError(
            f"{path} is not in the format of pen strokes: {_problem(error)} It is "
            '{"box": [w, h], "y_axis": "up" or "down", "digits": [{"label": 7, "strokes": [[[x, y], …], …]}, …]}.'
        ) from None


def _quick_draw(path: Path, content: bytes) -> StrokeFile:
    digits = []
    side = 1.0
    for number, line in enumerate(filter(None, map(bytes.strip, content.split(b"\n"))), start=1):
        if number > MAX_DIGITS:
            raise DataError(f"{path} has over {MAX_DIGITS:,} drawings, the limit: split it.")
        try:
            read = _QuickDraw.model_validate_json(line)
        except ValidationError as error:
            raise DataError(
                f"{path} is not in the format of Quick, Draw! in its line {number}: {_problem(error)} It is "
                '{"word": "cat", "drawing": [[[x, …], [y, …]], …]}.'
            ) from None
        if any(len(xs) != len(ys) for xs, ys in read.drawing):
            raise DataError(f"{path} has a stroke with more x than y, or fewer, in its line {number}: take it out.")
        strokes = [list(zip(xs, ys, strict=True)) for xs, ys in read.drawing]
        side = max(side, *itertools.chain([1.0], *(itertools.chain(*stroke) for stroke in read.drawing)))
        digits.append(Digit.model_construct(label=read.word, strokes=strokes, writer=None, test=False))
    return StrokeFile.model_construct(box=(side, side), y_axis="down", digits=digits)


def _problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in problem["loc"]) or "the file"
    return f"{where}: {problem['msg']}."


def unpacked(file: BinaryIO, path: Path) -> bytes:
    """The text of a file as UTF-8 without a byte order mark, unpacked if gzipped.

    Raises OSError, and DataError when it is damaged or over MAX_BYTES.
    """
    try:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        content = (gzip.GzipFile(fileobj=file) if packed else file).read(MAX_BYTES + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise DataError(f"{path} is a damaged gzip file: pack it again.") from None
    if len(content) > MAX_BYTES:
        raise DataError(f"{path} holds over {MAX_BYTES / 1e6:.0f} MB of JSON, the limit: split it.")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):  # UTF-16, as some Windows programs save
        return content.decode("utf-16", "replace").encode("utf-8", "replace")
    return content.removeprefix(b"\xef\xbb\xbf")
