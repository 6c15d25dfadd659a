"""Parquet files of pictures, as the Hugging Face Hub has MNIST: a column of PNG bytes and a column of labels."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

from mnist_core.data.archive import MAX_FILE_BYTES, Member, printable
from mnist_core.data.arrays import MAX_ARRAY_BYTES, Loaded, Part, assemble, name_of_class
from mnist_core.data.image_folder import read_pictures
from mnist_core.errors import DataError
from mnist_core.system.progress import Progress

IMAGES = ("image", "img", "images", "picture")
LABELS = ("label", "labels", "fine_label", "class", "target", "digit", "y")
MAX_ROWS = 1_000_000


def load_parquet(path: Path, progress: Progress | None = None) -> Loaded:
    """A Parquet file, or a folder of train-*.parquet and test-*.parquet, as a dataset.

    The column `image` has encoded pictures, as bytes or as a struct with the field `bytes`; the column `label` has
    whole numbers, whose names are taken from the Hub's metadata where they are there, or names. Pictures become one
    size as in `load_pictures`. Without a test file, one fifth is held out.

    Raises DataError when pyarrow is not installed, or a file is damaged, over a limit or has other columns.
    """
    members: list[Member] = []
    names: list[str] = []
    tests: list[bool | None] = []
    for file, test in _files(path):
        for picture, name in _rows(file):
            if len(members) >= MAX_ROWS:
                raise DataError(f"{path} has over {MAX_ROWS:,} rows, the limit: take some out.")
            members.append(Member((file.name, f"row {len(members)}"), len(picture), partial(bytes, picture)))
            names.append(name)
            tests.append(test)
    if sum(member.size for member in members) > MAX_ARRAY_BYTES:
        raise DataError(f"{path} has over {MAX_ARRAY_BYTES / 1e9:.0f} GB of pictures, the limit: take some out.")
    if not members:
        raise DataError(f"{path} has no rows: choose another file.")
    images = read_pictures(path, members, progress)
    parts = []
    for test in dict.fromkeys(tests):
        rows = [number for number, value in enumerate(tests) if value == test]
        parts.append(Part(images[rows], [names[number] for number in rows], test))
    return assemble(parts, str(path))


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


def _rows(path: Path) -> list[tuple[bytes, str]]:
    """Each row's picture and the name of its class."""
    try:
        import pyarrow as pa  # type: ignore[import-untyped]
        import pyarrow.parquet as pq  # type: ignore[import-untyped]
    except ImportError:
        raise DataError("Parquet files need the package pyarrow: `pip install pyarrow`.") from None
    try:
        with pq.ParquetFile(path, thrift_string_size_limit=2**26, thrift_container_size_limit=2**20) as file:
            schema = file.schema_arrow
            image = _column(path, schema, IMAGES, "pictures")
            label = _column(path, schema, LABELS, "labels")
            size = sum(file.metadata.row_group(n).total_byte_size for n in range(file.metadata.num_row_groups))
            if file.metadata.num_rows > MAX_ROWS or size > MAX_ARRAY_BYTES:
                raise DataError(f"{path} has {file.metadata.num_rows:,} rows and {size / 1e9:.1f} GB, over the limit.")
            known = _class_names(schema, label)
            rows: list[tuple[bytes, str]] = []
            for group in file.iter_batches(batch_size=1000, columns=[image, label]):
                pictures, labels = group.column(image).to_pylist(), group.column(label).to_pylist()
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


def _class_names(schema: Any, label: str) -> list[str]:
    """The names of the classes in the Hub's metadata; empty without them."""
    try:
        features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
        names = features[label]["names"]
    except (ValueError, KeyError, TypeError):
        return []
    return [str(name) for name in names] if isinstance(names, list) else []


def _picture(path: Path, row: int, value: Any) -> bytes:
    content = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(content, bytes) or not 0 < len(content) <= MAX_FILE_BYTES:
        raise DataError(f"{path} has no picture in its row {row}: the column of images must hold bytes of PNG or JPEG.")
    return content


def _name(path: Path, known: list[str], value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise DataError(f"{path} has a label that is no whole number or name: {printable(str(value)[:40])}.")
    if isinstance(value, int) and 0 <= value < len(known):
        return name_of_class(known[value], str(path))
    return name_of_class(str(value), str(path))
