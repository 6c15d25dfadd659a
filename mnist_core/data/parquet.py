"""Parquet files of pictures: a column of PNG bytes, as the Hugging Face Hub has MNIST, or pixels; and one of labels."""

from __future__ import annotations

import json
import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mnist_core.data.archive import MAX_FILE_BYTES, Member, printable
from mnist_core.data.arrays import MAX_ARRAY_BYTES, Loaded, Part, as_images, assemble, name_of_class
from mnist_core.data.csv_layout import IGNORED_NAMES
from mnist_core.data.image_folder import read_pictures
from mnist_core.errors import DataError
from mnist_core.system.progress import Progress

IMAGES = ("image", "img", "images", "picture")
LABELS = ("label", "labels", "fine_label", "class", "target", "digit", "y")
MAX_ROWS = 1_000_000


def load_parquet(path: Path, progress: Progress | None = None) -> Loaded:
    """A Parquet file, or a folder of train-*.parquet and test-*.parquet, as a dataset.

    The column `image` has encoded pictures, as bytes or as a struct with the field `bytes`, or lists of pixels, which
    may be nested; without it, the other columns are the pixels of a square image, in their order. The column `label`
    has whole numbers, whose names are taken from the Hub's metadata where they are there, or names. Encoded pictures
    become one size as in `load_pictures`. Without a test file, one fifth is held out.

    Raises DataError when pyarrow is not installed, or a file is damaged, over a limit or has other columns.
    """
    members: list[Member] = []
    pixels: list[np.ndarray] = []
    names: list[str] = []
    tests: list[bool | None] = []
    for file, test in _files(path):
        for picture, name in _rows(file):
            if len(names) >= MAX_ROWS:
                raise DataError(f"{path} has over {MAX_ROWS:,} rows, the limit: take some out.")
            if isinstance(picture, bytes):
                members.append(Member((file.name, f"row {len(names)}"), len(picture), partial(bytes, picture)))
            else:
                pixels.append(picture)
            names.append(name)
            tests.append(test)
    if sum(member.size for member in members) + sum(values.nbytes for values in pixels) > MAX_ARRAY_BYTES:
        raise DataError(f"{path} has over {MAX_ARRAY_BYTES / 1e9:.0f} GB of pictures, the limit: take some out.")
    if not names:
        raise DataError(f"{path} has no rows: choose another file.")
    if members and pixels:
        raise DataError(f"{path} has pictures in some rows and lists of pixels in others: make them alike.")
    images = _stacked(path, pixels) if pixels else read_pictures(path, members, progress)
    parts = []
    for test in dict.fromkeys(tests):
        rows = [number for number, value in enumerate(tests) if value == test]
        parts.append(Part(images[rows], [names[number] for number in rows], test))
    return assemble(parts, str(path))


def _stacked(path: Path, pixels: list[np.ndarray]) -> np.ndarray:
    """Arrays of one shape → (N, C, H, W) uint8. Raises DataError."""
    shapes = {values.shape for values in pixels}
    if len(shapes) > 1:
        some = " and ".join("×".join(map(str, shape)) for shape in sorted(shapes, key=str)[:2])
        raise DataError(f"{path} has lists of pixels of different sizes, {some}: all images must have one size.")
    return as_images(np.stack(pixels), f"The column of images in {path}")


def _files(path: Path) -> list[tuple[Path, bool | None]]:
    """Each file with whether it holds test images."""
    if not path.is_dir():
        return [(path, None)]
    try:
        found = sorted(file for file in path.rglob("*.parquet") if not file.name.startswith("."))[:1000]
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}).") from None
    if not found:
        raise DataError(f"There is no .parquet file in {path}: `parquet:PATH` needs one.")
    if len({file.parent for file in found}) > 1:
        folders = ", ".join(sorted({str(file.parent.relative_to(path)) for file in found})[:6])
        raise DataError(f"{path} has Parquet files in several folders ({folders}): give the folder of one dataset.")
    named = [(file, file.name.lower().startswith(("test", "t10k"))) for file in found]
    return [(file, test) for file, test in named]


def _rows(path: Path) -> list[tuple[bytes | np.ndarray, str]]:
    """Each row's picture, encoded or as pixels, and the name of its class."""
    try:
        import pyarrow as pa  # type: ignore[import-untyped]
        import pyarrow.parquet as pq  # type: ignore[import-untyped]
    except ImportError:
        raise DataError("Parquet files need the package pyarrow: `pip install pyarrow`.") from None
    try:
        with pq.ParquetFile(path, thrift_string_size_limit=2**26, thrift_container_size_limit=2**20) as file:
            schema = file.schema_arrow
            label = _column(path, schema, LABELS, "labels")
            image = _pixel_columns(schema, label) or [_column(path, schema, IMAGES, "pictures")]
            size = sum(file.metadata.row_group(n).total_byte_size for n in range(file.metadata.num_row_groups))
            if file.metadata.num_rows > MAX_ROWS or size > MAX_ARRAY_BYTES:
                raise DataError(f"{path} has {file.metadata.num_rows:,} rows and {size / 1e9:.1f} GB, over the limit.")
            known = _class_names(schema, label)
            rows: list[tuple[bytes | np.ndarray, str]] = []
            for group in file.iter_batches(batch_size=1000, columns=[*image, label]):
                labels = group.column(label).to_pylist()
                if len(image) > 1:
                    table = np.column_stack([group.column(name).to_numpy(zero_copy_only=False) for name in image])
                    rows += [(row, _name(path, known, value)) for row, value in zip(table, labels, strict=True)]
                    continue
                pictures = group.column(image[0]).to_pylist()
                rows += [
                    (_picture(path, len(rows) + n, picture), _name(path, known, value))
                    for n, (picture, value) in enumerate(zip(pictures, labels, strict=True))
                ]
            return rows
    except (pa.ArrowException, OSError, KeyError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is damaged or no Parquet file"
        raise DataError(f"{path} cannot be read ({reason}): copy or download it again.") from None


def _column(path: Path, schema: Any, names: tuple[str, ...], what: str) -> str:
    there: dict[str, str] = {name.lower(): name for name in schema.names}
    for name in names:
        if name in there:
            return there[name]
    columns = printable(", ".join(schema.names))
    raise DataError(f"{path} has no column of {what} ({' or '.join(names[:3])}) among {columns}: rename it.")


def _pixel_columns(schema: Any, label: str) -> list[str]:
    """The columns of a square image, where there are only these beside the label; else none."""
    import pyarrow.types as types  # type: ignore[import-untyped]

    if any(name.lower() in IMAGES for name in schema.names):
        return []
    named = [field.name for field in schema if field.name != label and field.name.lower() not in IGNORED_NAMES]
    numbers = [n for n in named if types.is_integer(schema.field(n).type) or types.is_floating(schema.field(n).type)]
    square = len(numbers) > 3 and math.isqrt(len(numbers)) ** 2 == len(numbers)
    return numbers if square and len(numbers) == len(named) else []


def _class_names(schema: Any, label: str) -> list[str]:
    """The names of the classes in the Hub's metadata; empty without them."""
    try:
        features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
        names = features[label]["names"]
    except (ValueError, KeyError, TypeError):
        return []
    return [str(name) for name in names] if isinstance(names, list) else []


def _picture(path: Path, row: int, value: Any) -> bytes | np.ndarray:
    content = value.get("bytes") if isinstance(value, dict) else value
    if isinstance(content, list):
        try:
            return np.array(content, dtype=np.float32)
        except (ValueError, TypeError):
            raise DataError(f"{path} has lists in its row {row} that differ in length or hold no numbers.") from None
    if not isinstance(content, bytes) or not 0 < len(content) <= MAX_FILE_BYTES:
        raise DataError(
            f"{path} has no picture in its row {row}: the column of images must hold bytes of PNG or JPEG, or lists of "
            "pixels."
        )
    return content


def _name(path: Path, known: list[str], value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise DataError(f"{path} has a label that is no whole number or name: {printable(str(value)[:40])}.")
    if isinstance(value, int) and 0 <= value < len(known):
        return name_of_class(known[value], str(path))
    return name_of_class(str(value), str(path))
