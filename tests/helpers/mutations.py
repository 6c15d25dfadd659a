"""Mutated inputs, from a seed: what a person or a broken disk might bring, and what somebody out to harm would."""

from __future__ import annotations

import copy
import functools
import gzip
import hashlib
import io
import json
import pickle
import random
import shutil
import stat
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from PIL import Image

from mnist_core.runs.run import Run
from tests.helpers.runs import Evil

SEED = 20261124
COUNT = {"bytes": 60, "cards": 80, "runs": 90, "states": 60, "pictures": 90, "zips": 60, "strokes": 70, "words": 120}
assert sum(COUNT.values()) >= 500

STRANGE: list[Any] = [
    None,
    True,
    -1,
    0,
    1e308,
    -(2**63),
    10**400,
    float("nan"),
    float("inf"),
    "",
    "../../outside/precious.txt",
    "/etc/passwd",
    "a\0b",
    "\ud800",
    "x" * 100_000,
    "<script>alert(1)</script>",
    "__import__('os').mkdir('executed')",
    [],
    {},
    [[[[]]]],
    {"__class__": "os.system"},
]


def mutated_bytes(content: bytes, rng: random.Random) -> bytes:
    """A bit flipped, a part cut, doubled, or overwritten."""
    content, place = bytearray(content), rng.randrange(max(len(content), 1))
    match rng.randrange(5):
        case 0:
            for _ in range(rng.randint(1, 8)):
                content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        case 1:
            del content[place:]
        case 2:
            del content[place : place + rng.randint(1, 64)]
        case 3:
            content[place:place] = content[: rng.randint(1, 64)]
        case _:
            content[place : place + 8] = rng.choice([b"\xff" * 8, b"\0" * 8, b"\x7f" + b"\xff" * 7, b"\0"])
    return bytes(content)


def mutated_json(value: Any, rng: random.Random) -> bytes:
    """One or two values exchanged for strange ones, keys lost or added; now and then nested deeply, or torn."""
    value = copy.deepcopy(value)
    for _ in range(rng.randint(1, 2)):
        holder, key = rng.choice(list(_places(value)) or [({}, "")])
        match rng.randrange(6):
            case 0 if isinstance(holder, dict):
                holder.pop(key, None)
            case 1 if isinstance(holder, dict):
                holder[rng.choice(["extra", "../x", "", "\ud800"])] = copy.deepcopy(rng.choice(STRANGE))
            case _:
                holder[key] = copy.deepcopy(rng.choice(STRANGE))
    text = json.dumps(value)
    match rng.randrange(8):
        case 0:
            text = text.replace("1", "[" * 5000 + "]" * 5000, 1)
        case 1:
            return mutated_bytes(text.encode(), rng)
    return text.encode()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict | list):
        for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
            yield value, key
            yield from _places(inner)


def rng_of(kind: str) -> Iterator[random.Random]:
    """As many generators as COUNT says, each with a seed of its own."""
    return (random.Random(f"{SEED} {kind} {number}") for number in range(COUNT[kind]))


def mutated_weights(weights: bytes, number: int, rng: random.Random) -> bytes:
    """A safetensors file of another description, other tensors, or damaged, as `number` says."""
    length = int.from_bytes(weights[:8], "little")
    if number % 3 == 2:  # within the description of the tensors, which comes first
        header = mutated_json(json.loads(weights[8 : 8 + length]), rng)
        return len(header).to_bytes(8, "little") + header + weights[8 + length :]
    if number % 3 == 1:
        tensors = safetensors.torch.load(weights)
        name = rng.choice([name for name in sorted(tensors) if tensors[name].is_floating_point()])
        tensors[name] = rng.choice(
            [torch.full_like(tensors[name], float("nan")), torch.zeros(3), tensors[name].to(torch.float64) * 1e300]
        )
        return safetensors.torch.save(tensors)
    return mutated_bytes(weights, rng)


def mutated_run(trained: Run, folder: Path, rng: random.Random) -> Run:
    """A copy of a run with one of its files mutated."""
    shutil.copytree(trained.folder, folder)
    name = rng.choice(["config.json", "status.json", "control.json", "metrics.jsonl"])
    path = folder / name
    if name == "metrics.jsonl":
        lines = path.read_bytes().splitlines()
        for place in rng.sample(range(len(lines)), 5):
            lines[place] = mutated_json(json.loads(lines[place]), rng)
        path.write_bytes(b"\n".join(lines))
    else:
        value = {"command": "pause"} if name == "control.json" else json.loads(path.read_text())
        path.write_bytes(mutated_json(value, rng))
    return Run(folder)


def mutated_state(whole: bytes, saved: dict[str, Any], number: int, rng: random.Random, trap: str) -> bytes:
    """A saved state, damaged or with a sum that fits; what would be executed makes the directory `trap`."""
    title, content = whole.split(b"\n", 1)
    mutated = mutated_bytes(whole, rng)
    if number % 3:  # with a sum that fits
        inner = mutated_bytes(content, rng)
        if number % 3 == 2:
            state, buffer = dict(saved), io.BytesIO()
            state[rng.choice(sorted(state))] = rng.choice([*STRANGE, Evil(trap), {"a": Evil(trap)}, torch.zeros(2)])
            if rng.random() < 0.2:
                buffer.write(pickle.dumps(Evil(trap)))
            else:
                torch.save(state, buffer, _use_new_zipfile_serialization=rng.random() < 0.7)
            inner = buffer.getvalue()
        mutated = title[:-64] + hashlib.sha256(inner).hexdigest().encode() + b"\n" + inner
    return mutated


@functools.cache
def pictures() -> list[bytes]:
    rng = np.random.default_rng(SEED)
    found = []
    for mode, shape in (("L", (40, 30)), ("RGB", (40, 30, 3)), ("RGBA", (40, 30, 4))):
        picture = Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8), mode)
        for kind in ("PNG", "GIF", "BMP", "WEBP", "TIFF", "JPEG"):
            file = io.BytesIO()
            (picture.convert("RGB") if kind == "JPEG" else picture).save(file, kind)
            found.append(file.getvalue())
    bomb = io.BytesIO()
    Image.new("1", (9_000, 9_000)).save(bomb, "PNG")
    return [*found, bomb.getvalue(), b"%!PS-Adobe-3.0\n(executed) deletefile", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"text"]


NAMES = ["train/a/1.png", "test/a/2.png", "../../outside/precious.txt", "/etc/cron.d/x", "C:\\x.png", ".", "", "a/./b"]
NAMES += ["train/a/..", "train/\ud83d/3.png", "train/a/" + "x" * 300 + ".png", "a" * 70 + "/1.png", "a\\..\\..\\x.png"]
NAMES += ["inner.zip", "train/a/inner.zip", "/", "//", "train//a//1.png", "__MACOSX/x", "con", "train/a/1.png/2.png"]


METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2]


def zipped(rng: random.Random) -> bytes:
    picture, packed = pictures()[0], io.BytesIO()
    with zipfile.ZipFile(packed, "w", rng.choice(METHODS)) as file:
        for label in "ab":
            for number in range(6):
                file.writestr(f"train/{label}/{number}.png", picture)
        for name in rng.sample(NAMES, rng.randrange(3)):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                info = zipfile.ZipInfo("x")
                info.filename = name.encode(errors="replace").decode()
                if rng.random() < 0.2:
                    info.external_attr = (stat.S_IFLNK | 0o777) << 16
                file.writestr(info, rng.choice([picture, b"", b"0" * 1_000_000, b"../../outside/precious.txt"]))
    return packed.getvalue()


PEN = [(label, f"w{number % 3}") for label in (0, 1) for number in range(6)]


def mutated_sheet(number: int, rng: random.Random) -> bytes:
    """A file of pen strokes, gzipped now and then."""
    one = [{"label": label, "strokes": [[[1, 2], [30, 40 + label]], [[5, 5]]], "writer": w} for label, w in PEN]
    sheet = {"box": [50, 60], "y_axis": "down", "digits": one}
    if number % 5 == 0:
        return mutated_bytes(gzip.compress(mutated_json(sheet, rng)), rng)
    if number % 5 == 1:
        sides = [1e-300, 5e-324, 1e6, 1, 0.001]
        spots = [rng.choice([-1e6, 1e6, 0, 1e-300, 3]) for _ in range(4)]
        strange = [{**digit, "strokes": [[spots[:2], spots[2:]]]} for digit in one]
        return json.dumps({**sheet, "box": rng.choices(sides, k=2), "digits": strange}).encode()
    return mutated_json(sheet, rng)


def strange_words(pipe: Path) -> list[str]:
    """Words for an address: numbers, names, paths, one of them of a `pipe`."""
    words = [str(word).replace("\ud800", "?") for word in STRANGE]
    words += [f"{kind}:{word}" for kind in ("folder", "drawings") for word in (*words[-12:], "/dev/zero", "/dev/stdin")]
    words += [f"drawings:{pipe}", f"folder:{pipe}", "nan", "1e999", "0x10", "1_0"]
    return [*words, "٣", "=", "dropout=0.5", "true; rm -rf /", "%00", "../" * 50]
