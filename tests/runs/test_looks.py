"""Looks at a training: only while somebody asks, without any effect on it, and right."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest
import torch

from mnist_core.config import TrainConfig
from mnist_core.data.loading import load_dataset
from mnist_core.data.splits import train_and_validation
from mnist_core.figures.packed import packed, scale_of, signed, unpacked
from mnist_core.models.architectures import describe
from mnist_core.models.classifier import to_unit
from mnist_core.runs import looks
from mnist_core.runs.execute import execute
from mnist_core.runs.frames import live_frame
from mnist_core.runs.looks import MOST_ROWS, Norms
from mnist_core.runs.run import Run
from mnist_core.training.loop import train
from mnist_core.training.optim import learning_rate_at
from mnist_core.training.state import TrainState
from tests.helpers.runs import RESUMABLE, created, timeless, weights

PLAIN = RESUMABLE.replace(ema_decay=0, dropout=0, rotation=0, translation=0, model="small-cnn", activation="gelu")


def watched(run: Run, monkeypatch) -> list:
    """Trains `run` while somebody looks after every step; what was seen."""
    monkeypatch.setattr(looks, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(looks, "MOST_SHARE", 1e9)
    found = []

    def watch(event: dict) -> None:
        seen = looks.newest(run)
        if seen is not None:
            found.append(seen)
        looks.ask(run)

    execute(run, on_event=watch)
    assert run.status().state == "completed"
    return found


def test_a_training_that_is_watched_is_the_same(tmp_path, monkeypatch):
    alone, seen = created(tmp_path, **RESUMABLE.model_dump()), created(tmp_path, **RESUMABLE.model_dump())
    execute(alone)
    assert len(watched(seen, monkeypatch)) > 20
    assert timeless(seen) == timeless(alone)
    assert all(torch.equal(weights(seen)[name], tensor) for name, tensor in weights(alone).items())


def test_nothing_is_written_where_nobody_looks(tmp_path, monkeypatch):
    monkeypatch.setattr(looks, "LOOK_SECONDS", 0.0)
    run, found = created(tmp_path), []
    (run.folder / looks.ASKED).touch()
    os.utime(run.folder / looks.ASKED, (time.time() - 60,) * 2)  # a page that was closed a minute ago
    execute(run, on_event=lambda event: found.append((run.folder / looks.FILE).exists()))
    assert not any(found)


def test_what_was_written_goes_with_the_end(tmp_path, monkeypatch):
    run = created(tmp_path)
    assert watched(run, monkeypatch)
    assert looks.newest(run) is None
    assert not (run.folder / looks.ASKED).exists()


def test_a_look_is_due_once_a_second_at_most(tmp_path):
    run, found = created(tmp_path), []
    looks.ask(run)

    def count(event: dict) -> None:
        looks.ask(run)
        found.append(looks.newest(run))

    begun = time.monotonic()
    execute(run, on_event=count)
    assert len({seen[0] for seen in found if seen}) <= 1 + (time.monotonic() - begun)


def test_norms_and_answers_are_those_of_plain_torch(tmp_path, monkeypatch):
    run = created(tmp_path, **PLAIN.model_dump())
    found = {seen[1].card.step: seen for seen in watched(run, monkeypatch)}
    data = load_dataset("digits")
    state = TrainState(run.config(), data)
    _, validation = train_and_validation(data, run.config())
    expected = {}
    for event in train(state, data):
        if event["event"] == "step":
            layers = [m for m in state.model.net.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
            values = [
                [layer.weight.detach().norm() for layer in layers],
                [layer.weight.grad.norm() for layer in layers],
            ]
            expected[event["step"]] = [[float(value) for value in row] for row in values]
            if event["step"] == 20:
                model_at_20 = {name: tensor.clone() for name, tensor in state.model.state_dict().items()}
    stamp, checkpoint, notes = found[20]
    assert stamp != found[19][0]
    assert all(torch.equal(model_at_20[name], torch.from_numpy(v)) for name, v in checkpoint.weights.items())
    for step, *norms in notes["norms"]["rows"]:
        for mine, theirs in zip(norms, expected[step], strict=True):
            assert mine == pytest.approx(theirs, rel=2e-3)
    images, labels = unpacked(notes["digits"]["images"]), notes["digits"]["labels"]
    held_out = {(data.train_images[row].tobytes(), int(data.train_labels[row])) for row in validation}
    assert {(image.tobytes(), label) for image, label in zip(images, labels, strict=True)} <= held_out
    assert len(labels) == 12
    shown = live_frame(run, checkpoint, notes, None)
    with torch.inference_mode():
        read = checkpoint.model(to_unit(images)).softmax(1)
    (frame,) = shown["frames"]
    assert [label for label, _ in frame["digits"]] == read.argmax(1).tolist()
    assert [share for _, share in frame["digits"]] == pytest.approx(read.max(1).values.tolist(), abs=1e-3)
    assert frame["drawn"] == frame["digits"][0]


def test_the_learning_rate_is_drawn_whole_with_its_changes(tmp_path, monkeypatch):
    run = created(tmp_path, **PLAIN.model_dump())
    run.change(learning_rate=0.001)
    *_, (_, checkpoint, notes) = watched(run, monkeypatch)
    (line,) = live_frame(run, checkpoint, notes, None)["charts"][0]["lines"]
    assert line["x"][0] == 0
    assert line["x"][-1] == 26
    (change,) = checkpoint.card.changes
    for step, rate in zip(line["x"], line["y"], strict=True):
        peak = 0.001 if step >= change.step else PLAIN.learning_rate
        assert rate == pytest.approx(learning_rate_at(PLAIN.replace(learning_rate=peak), step, 9))


def test_a_drawing_is_read_too(tmp_path, monkeypatch):
    run = created(tmp_path, **PLAIN.model_dump())
    *_, (_, checkpoint, notes) = watched(run, monkeypatch)
    drawing = load_dataset("digits").test_images[5]
    shown = live_frame(run, checkpoint, notes, drawing)
    with torch.inference_mode():
        read = checkpoint.model(to_unit(drawing[None])).softmax(1)[0]
    assert shown["frames"][0]["drawn"] == (int(read.argmax()), pytest.approx(float(read.max()), abs=1e-3))
    assert shown["words"]["drawnTitle"] == "Your drawing"


def test_norms_of_a_long_training_stay_few():
    state = TrainState(TrainConfig(dataset="digits", model="mlp", batch_size=128), load_dataset("digits"))
    norms = Norms(describe(state.config, load_dataset("digits").shape))
    norms.take(state)
    assert norms.rows == []  # no batch yet
    for parameter in state.model.parameters():
        parameter.grad = torch.full_like(parameter, float("nan"))
    for step in range(3 * MOST_ROWS):
        state.batch = step
        norms.take(state)
    steps = [row[0] for row in norms.rows]
    assert MOST_ROWS / 2 <= len(steps) <= MOST_ROWS
    assert set(np.diff(steps).tolist()) == {4}
    assert norms.rows[0][2] == [None] * len(norms.layers)


def test_a_damaged_look_is_none(tmp_path):
    run = created(tmp_path)
    assert looks.newest(run) is None
    (run.folder / looks.FILE).write_bytes(b"torn")
    assert looks.newest(run) is None


def test_packed_arrays_come_back():
    array = np.random.default_rng(0).integers(0, 60_000, (3, 4, 5))
    assert np.array_equal(unpacked(packed(array, "u2"), "u2"), array)
    maps = np.linspace(-2, 2, 2000).reshape(2, 20, 50)
    assert scale_of([maps]) == pytest.approx(1.99, abs=0.01)
    assert unpacked(signed(maps, 1.0), "i1").min() == -127
    assert np.abs(unpacked(signed(maps, 2.0), "i1") / 127 * 2 - maps).max() < 0.01
