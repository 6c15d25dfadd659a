"""Image folders, zips, pen strokes and CIFAR-10 batches, written as their makers would."""

import gzip
import io
import json
import pickle
import struct
import zipfile
from typing import ClassVar

import numpy as np
from PIL import Image


def write_folder(root, files):
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def write_zip(path, files, how=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", how) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return path


def encoded(pixels, kind="PNG", **options) -> bytes:
    file = io.BytesIO()
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(np.asarray(pixels, np.uint8))
    picture.save(file, kind, **options)
    return file.getvalue()


ONE = [[[50, 10], [50, 90]]]


SEVEN = [[[20, 90], [80, 90], [40, 10]], [[35, 50], [65, 50]]]


def sheet(count=10, **changes) -> dict:
    """As many ones as sevens."""
    digits = [
        {"label": label, "strokes": [[[x + n, y] for x, y in stroke] for stroke in strokes]}
        for n in range(count)
        for label, strokes in ((1, ONE), (7, SEVEN))
    ]
    return {"box": [100, 100], "y_axis": "up", "digits": digits} | changes


def write_sheet(path, value) -> str:
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return f"drawings:{path}"


class Python2Pickler(pickle._Pickler):
    """Writes text and bytes as Python 2 did, which wrote CIFAR-10's files: both are BINSTRING."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)

    def save_binstring(self, value):
        content = value if isinstance(value, bytes) else value.encode("latin1")
        self.write(b"T" + struct.pack("<i", len(content)) + content)
        self.memoize(value)

    dispatch[bytes] = dispatch[str] = save_binstring


def pickled(value, pickler=Python2Pickler) -> bytes:
    file = io.BytesIO()
    pickler(file, protocol=2).dump(value)
    return file.getvalue().replace(b"cnumpy._core.multiarray", b"cnumpy.core.multiarray")


def batch(pixels, labels) -> dict:
    names = [f"{n}.png" for n in range(len(labels))]
    return {"batch_label": "testing batch", "labels": labels, "data": pixels, "filenames": names}
