"""Hundreds of mutated inputs, from a seed: each is read or refused by an error of the lab, and touches nothing else.

No crash, no code executed, no file changed outside of the run: the surroundings are compared before and after.
"""

import copy
import functools
import gzip
import hashlib
import io
import json
import os
import pickle
import random
import shutil
import stat
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from mnist_core.config import TrainConfig, parse_assignments
from mnist_core.data.loading import load_dataset
from mnist_core.drawing.images import read_picture
from mnist_core.drawing.preprocess import to_model_input
from mnist_core.errors import LabError
from mnist_core.experiments.compare import record, seconds_left
from mnist_core.experiments.export import bundle
from mnist_core.inference.predictor import Predictor
from mnist_core.models.checkpoint import CARD, WEIGHTS, is_whole, load_checkpoint
from mnist_core.recipes import get_recipe
from mnist_core.runs.execute import execute
from mnist_core.runs.history import EventReader, HistoryReader
from mnist_core.runs.queue import Queue
from mnist_core.runs.run import WAITING, Run, create_run, list_runs, open_run
from mnist_core.training.resume import RESUME, load_resume, restore
from mnist_core.training.state import TrainState
from tests.helpers.pages import visit
from tests.helpers.runs import RESUMABLE, Evil

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


class Answers:
    """Counts how inputs were answered; anything but a result or a typed error is a failure."""

    def __init__(self) -> None:
        self.read = self.refused = 0

    def __call__(self, read: Callable[..., Any], *arguments: Any) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                result = read(*arguments)
        except LabError as error:
            self.refused += 1
            said = str(error)
            assert 0 < len(said) < 5000, said[:200]
            return None
        self.read += 1
        return result


@pytest.fixture
def answers() -> Iterator[Answers]:
    counted = Answers()
    yield counted
    print(f"{counted.read} read, {counted.refused} refused")


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Run:
    run = create_run(RESUMABLE.replace(epochs=2), tmp_path_factory.mktemp("trained"))
    execute(run)
    assert run.status().state == "completed"
    return run


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch) -> Iterator[Path]:
    """`tmp_path/inside` is where inputs lie; all else below `tmp_path` must stay as it is, and be all there is."""
    (tmp_path / "inside").mkdir()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious.txt").write_text("precious")
    (tmp_path / "config.json").write_text(TrainConfig().model_dump_json())  # as if all this were a run
    (tmp_path / "status.json").write_text('{"state": "running"}')
    monkeypatch.chdir(outside)
    before = snapshot(tmp_path)
    yield tmp_path / "inside"
    assert snapshot(tmp_path) == before


def snapshot(root: Path) -> dict[str, tuple[int, bytes]]:
    files = (path for path in root.rglob("*") if path.is_file() and not path.is_relative_to(root / "inside"))
    return {str(path.relative_to(root)): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


# ---- checkpoints ----------------------------------------------------------------------------------------------------


def test_mutated_weights(surroundings, answers, trained):
    """Half of them with a card that names their sum, as somebody would who means it."""
    folder = shutil.copytree(trained.checkpoint(), surroundings / "checkpoint")
    weights, card = (folder / WEIGHTS).read_bytes(), json.loads((folder / CARD).read_text())
    length = int.from_bytes(weights[:8], "little")
    for number, rng in enumerate(rng_of("bytes")):
        if number % 3 == 2:  # within the description of the tensors, which comes first
            header = mutated_json(json.loads(weights[8 : 8 + length]), rng)
            mutated = len(header).to_bytes(8, "little") + header + weights[8 + length :]
        elif number % 3 == 1:
            tensors = safetensors.torch.load(weights)
            name = rng.choice([name for name in sorted(tensors) if tensors[name].is_floating_point()])
            tensors[name] = rng.choice(
                [torch.full_like(tensors[name], float("nan")), torch.zeros(3), tensors[name].to(torch.float64) * 1e300]
            )
            mutated = safetensors.torch.save(tensors)
        else:
            mutated = mutated_bytes(weights, rng)
        (folder / WEIGHTS).write_bytes(mutated)
        meant = number % 2 == 0
        sums = {"weights_sha256": hashlib.sha256(mutated).hexdigest()} if meant else {}
        (folder / CARD).write_text(json.dumps({**card, **sums}))
        loaded = answers(load_checkpoint, folder)
        if loaded is not None:
            assert meant or mutated == weights
            prediction = Predictor(loaded).predict(np.eye(28, dtype=np.uint8) * 255)
            assert np.isfinite(prediction.probabilities).all()
        is_whole(folder)
    assert answers.refused > COUNT["bytes"] / 2


def test_mutated_cards(surroundings, answers, trained):
    folder = shutil.copytree(trained.checkpoint(), surroundings / "checkpoint")
    card = json.loads((folder / CARD).read_text())
    for rng in rng_of("cards"):
        (folder / CARD).write_bytes(mutated_json(card, rng))
        loaded = answers(load_checkpoint, folder)
        if loaded is not None:
            json.dumps(loaded.card.model_dump(mode="json"), allow_nan=False).encode()
        assert is_whole(folder) in (True, False)
    assert answers.refused > COUNT["cards"] / 3


# ---- runs -----------------------------------------------------------------------------------------------------------


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


def test_mutated_runs(surroundings, answers, trained):
    """Any file of a run, read by all that pages read."""
    for number, rng in enumerate(rng_of("runs")):
        run = mutated_run(trained, surroundings / f"{number}-run", rng)
        status = run.status()
        status.reason.encode()
        assert run.control().command in ("run", "pause", "stop")
        assert run.checkpoint().is_relative_to(run.folder)
        run.damage().encode()
        answers(EventReader(run).read)
        history = answers(HistoryReader(run).history)
        for values in (*vars(history.train).values(), *vars(history.validation).values()):
            assert np.isfinite(values).all()
        answers(run.config)
        answers(record, run)
        answers(seconds_left, [run])
        answers(bundle, run)
        answers(open_run, run.id, surroundings)
    assert len(list_runs(surroundings)) == COUNT["runs"]


@pytest.mark.parametrize("page", ["train", "compare", "results"])
def test_pages_among_mutated_runs(surroundings, monkeypatch, trained, page):
    monkeypatch.setenv("MNIST_LAB_RUNS", str(surroundings))
    for number, rng in zip(range(20), rng_of("runs"), strict=False):
        run = mutated_run(trained, surroundings / f"20261124-120000-fuzz-{number:04d}", rng)
    assert not visit(f"pages/{page}.py", run=run.id, model=run.id).exception


@pytest.mark.parametrize("number", range(6))
def test_strange_addresses_of_the_train_page(surroundings, monkeypatch, number):
    monkeypatch.setenv("MNIST_LAB_RUNS", str(surroundings))
    rng = random.Random(f"{SEED} address {number}")
    app = visit("home.py").switch_page("pages/train.py")
    for name in rng.sample(["recipe", "dataset", "dropout", "seed", "epochs", "model", "__class__", "../x"], 3):
        app.query_params[name] = str(rng.choice(STRANGE))[:5000].replace("\ud800", "?")
    assert not app.run().exception


@pytest.mark.parametrize("name", ["-", "x" * 200, "no run", ".own", "...own", "\u0661", "link", "loop"])
def test_strange_entries_in_the_queue(surroundings, name, answers):
    queue = Queue(surroundings / "runs")
    run = create_run(RESUMABLE, surroundings / "runs")
    if name == "link":
        (queue.runs_dir / name).symlink_to(surroundings.parent / "outside")
    else:
        (queue.runs_dir / name).mkdir()
        (queue.runs_dir / name / WAITING).symlink_to(surroundings.parent / "outside" / "precious.txt")
    queue.add(run)
    assert answers(queue.next_for_worker) == run
    assert run in answers(queue.waiting)
    assert answers(queue.may_begin, run) is True


def test_a_log_that_is_a_link_is_not_written_through(surroundings):
    run = create_run(RESUMABLE.replace(epochs=1), surroundings)
    (run.folder / "metrics.jsonl").symlink_to(surroundings.parent / "outside" / "precious.txt")
    run.command("stop")
    execute(run)
    assert run.status().state == "stopped"


# ---- the saved state ------------------------------------------------------------------------------------------------


def test_mutated_states_are_refused_and_not_executed(surroundings, answers, trained, tiny_data):
    whole = (trained.folder / RESUME).read_bytes()
    title, content = whole.split(b"\n", 1)
    saved = load_resume(trained.folder)[0]
    trap = str(surroundings.parent / "executed")
    for number, rng in enumerate(rng_of("states")):
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
        (surroundings / RESUME).write_bytes(mutated)
        loaded = answers(load_resume, surroundings)
        if loaded is not None:
            answers(restore, TrainState(trained.config(), load_dataset("digits")), loaded[0])
        assert not Path(trap).exists()
    assert answers.refused > COUNT["states"] / 2


# ---- what people bring ----------------------------------------------------------------------------------------------


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


def test_mutated_pictures(answers):
    originals = pictures()
    for number, rng in enumerate(rng_of("pictures")):
        content = originals[number % len(originals)]
        pixels = answers(read_picture, mutated_bytes(content, rng) if number >= len(originals) else content)
        if pixels is not None:
            assert pixels.dtype == np.uint8
            seen = answers(to_model_input, pixels)
            assert seen is None or seen.shape == (28, 28)
    assert answers.refused > 10


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


def test_mutated_zips(surroundings, answers):
    for number, rng in enumerate(rng_of("zips")):
        path, content = surroundings / f"{number}.zip", zipped(rng)
        path.write_bytes(content if number % 2 else mutated_bytes(content, rng))
        data = answers(load_dataset, f"folder:{path}")
        assert data is None or data.train_images.dtype == torch.uint8
    assert answers.read > 3
    assert answers.refused > COUNT["zips"] / 3
    assert {path.suffix for path in surroundings.iterdir()} == {".zip"}


def test_mutated_pen_strokes(surroundings, answers):
    one = [{"label": label, "strokes": [[[1, 2], [30, 40 + label]], [[5, 5]]], "writer": w} for label, w in PEN]
    sheet = {"box": [50, 60], "y_axis": "down", "digits": one}
    for number, rng in enumerate(rng_of("strokes")):
        path, content = surroundings / f"{number}.json", mutated_json(sheet, rng)
        if number % 5 == 0:
            content = mutated_bytes(gzip.compress(content), rng)
        if number % 5 == 1:
            sides = [1e-300, 5e-324, 1e6, 1, 0.001]
            spots = [rng.choice([-1e6, 1e6, 0, 1e-300, 3]) for _ in range(4)]
            strange = [{**digit, "strokes": [[spots[:2], spots[2:]]]} for digit in one]
            content = json.dumps({**sheet, "box": rng.choices(sides, k=2), "digits": strange}).encode()
        path.write_bytes(content)
        data = answers(load_dataset, f"drawings:{path}")
        assert data is None or data.train_images.shape[1:] == (1, 28, 28)
    assert answers.refused > COUNT["strokes"] / 3


PEN = [(label, f"w{number % 3}") for label in (0, 1) for number in range(6)]


# ---- words in an address --------------------------------------------------------------------------------------------


def test_strange_words_in_an_address(surroundings, answers):
    """Settings, recipes, datasets and runs, as the Train page and the others take them from a URL."""
    os.mkfifo(surroundings / "pipe")
    words = [str(word).replace("\ud800", "?") for word in STRANGE]
    words += [f"{kind}:{word}" for kind in ("folder", "drawings") for word in (*words[-12:], "/dev/zero", "/dev/stdin")]
    words += [f"drawings:{surroundings / 'pipe'}", f"folder:{surroundings / 'pipe'}", "nan", "1e999", "0x10", "1_0"]
    words += ["٣", "=", "dropout=0.5", "true; rm -rf /", "%00", "../" * 50]
    fields = [*TrainConfig.model_fields, "nothing", "__class__", "model_config", "../x", ""]
    for rng in rng_of("words"):
        word, field = rng.choice(words), rng.choice(fields)
        config = answers(
            lambda name, value: TrainConfig().replace(**parse_assignments([f"{name}={value}"])), field, word
        )
        if config is not None:
            assert TrainConfig(**json.loads(config.model_dump_json())) == config
        answers(get_recipe, word)
        answers(load_dataset, word, surroundings)
        answers(open_run, word, surroundings)
    assert answers.refused > 3 * COUNT["words"]
