"""Hundreds of mutated inputs, from a seed: each is read or refused by an error of the lab, and touches nothing else.

No crash, no code executed, no file changed outside of the run: the surroundings are compared before and after.
"""

import hashlib
import json
import os
import random
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

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
from mnist_core.runs.run import WAITING, create_run, list_runs, open_run
from mnist_core.training.resume import RESUME, load_resume, restore
from mnist_core.training.state import TrainState
from tests.helpers.mutations import (
    COUNT,
    SEED,
    STRANGE,
    mutated_bytes,
    mutated_json,
    mutated_run,
    mutated_sheet,
    mutated_state,
    mutated_weights,
    pictures,
    rng_of,
    strange_words,
    zipped,
)
from tests.helpers.pages import visit
from tests.helpers.runs import RESUMABLE

pytestmark = pytest.mark.usefixtures("surroundings")


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


# ---- checkpoints ----------------------------------------------------------------------------------------------------


def test_mutated_weights(surroundings, answers, trained):
    """Half of them with a card that names their sum, as somebody would who means it."""
    folder = shutil.copytree(trained.checkpoint(), surroundings / "checkpoint")
    weights, card = (folder / WEIGHTS).read_bytes(), json.loads((folder / CARD).read_text())
    for number, rng in enumerate(rng_of("bytes")):
        mutated = mutated_weights(weights, number, rng)
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
    saved = load_resume(trained.folder)[0]
    trap = str(surroundings.parent / "executed")
    for number, rng in enumerate(rng_of("states")):
        mutated = mutated_state(whole, saved, number, rng, trap)
        (surroundings / RESUME).write_bytes(mutated)
        loaded = answers(load_resume, surroundings)
        if loaded is not None:
            answers(restore, TrainState(trained.config(), load_dataset("digits")), loaded[0])
        assert not Path(trap).exists()
    assert answers.refused > COUNT["states"] / 2


# ---- what people bring ----------------------------------------------------------------------------------------------


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


def test_mutated_zips(surroundings, answers):
    for number, rng in enumerate(rng_of("zips")):
        path, content = surroundings / f"{number}.zip", zipped(rng)
        path.write_bytes(content if number % 2 else mutated_bytes(content, rng))
        data = answers(load_dataset, f"folder:{path}")
        assert data is None or data.train_images.dtype == np.uint8
    assert answers.read > 3
    assert answers.refused > COUNT["zips"] / 3
    assert {path.suffix for path in surroundings.iterdir()} == {".zip"}


def test_mutated_pen_strokes(surroundings, answers):
    for number, rng in enumerate(rng_of("strokes")):
        path, content = surroundings / f"{number}.json", mutated_sheet(number, rng)
        path.write_bytes(content)
        data = answers(load_dataset, f"drawings:{path}")
        assert data is None or data.train_images.shape[1:] == (1, 28, 28)
    assert answers.refused > COUNT["strokes"] / 3


# ---- words in an address --------------------------------------------------------------------------------------------


def test_strange_words_in_an_address(surroundings, answers):
    """Settings, recipes, datasets and runs, as the Train page and the others take them from a URL."""
    os.mkfifo(surroundings / "pipe")
    words = strange_words(surroundings / "pipe")
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
