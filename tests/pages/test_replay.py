"""The Replay page: a run's snapshots against the weights themselves; its address; runs without snapshots."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
import torch

from mnist_core.data.loading import load_dataset
from mnist_core.inference.interval import accuracy_text
from mnist_core.inference.learning import fixed_digits
from mnist_core.inference.predictor import Predictor
from mnist_core.models.weights_file import read_weights_file
from mnist_core.runs.weight_snapshots import snapshots
from tests.helpers.pages import drawn_seven, finished_run, visit, words

PAGE = "pages/replay.py"
KINDS = {"confusion": "<u2", "points": "<u2", "filters": "i1", "maps": "i1"}


@pytest.fixture(autouse=True)
def _no_mnist(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MNIST_LAB_DATA", str(tmp_path / "data"))


def shown(app) -> dict:
    """What the page gives to the component that shows the snapshots; see ui/live/frames.py."""
    (found,) = (each.proto for each in app.get("bidi_component") if each.proto.component_name == "mnist_lab.frames")
    return json.loads(found.json)


def unpacked(frame: dict, name: str) -> np.ndarray:
    values = np.frombuffer(base64.b64decode(frame[name]["values"]), KINDS[name])
    return values.reshape(frame[name]["shape"])


def test_without_snapshots_it_says_how_to_get_them():
    finished_run()
    app = visit(PAGE)
    assert not app.exception
    assert "No run has kept them yet" in words(app)
    (link,) = (each.proto for each in app.get("page_link") if "keeps its weights" in each.proto.label)
    assert "snapshots=True" in link.query_string
    train = visit("pages/train.py")
    train.query_params["snapshots"] = "True"
    train.run()
    assert [toggle.value for toggle in train.toggle if "for Replay" in toggle.label] == [True]


def test_each_frame_is_what_its_weights_say():
    run = finished_run(snapshots=True)
    app = visit(PAGE)
    assert not app.exception
    assert not app.error
    data, found = load_dataset("digits"), shown(app)
    assert [frame["step"] for frame in found["frames"]] == list(snapshots(run))
    digits = fixed_digits(data.test_labels)
    assert [each["row"] for each in found["digits"]] == data.test_labels[digits].tolist()
    for frame, path in zip(found["frames"], snapshots(run).values(), strict=True):
        model = read_weights_file(path).model
        read = torch.from_numpy(model.infer(data.test_images)).softmax(1)
        counts = np.zeros((10, 10), int)
        for true, said in zip(data.test_labels, read.argmax(1).tolist(), strict=True):
            counts[true, said] += 1
        assert np.array_equal(unpacked(frame, "confusion"), counts)
        assert f"{accuracy_text(np.trace(counts) / 360, 360)} right" in frame["words"]
        assert [said for said, _ in frame["digits"]] == read.argmax(1)[digits].tolist()
        assert [sure for _, sure in frame["digits"]] == pytest.approx(read.max(1).values[digits].tolist(), abs=1e-3)
        weights = next(iter(model.net.parameters())).detach().numpy()[:32, 0]
        drawn = unpacked(frame, "filters")
        inside = np.abs(drawn) < 127
        assert np.corrcoef(drawn[inside], weights[inside])[0, 1] > 0.999
        assert unpacked(frame, "points").shape == (360, 2)


def test_the_address_leads_to_a_run_and_a_step():
    finished_run(snapshots=True, seed=1)
    run = finished_run(snapshots=True)
    app = visit(PAGE)
    app.query_params["run"], app.query_params["step"] = run.id, "4"
    app.run()
    assert shown(app)["at"] == 4
    assert app.query_params["run"] == run.id
    assert app.query_params["step"] == "4"


@pytest.mark.parametrize("place", [{"run": "../etc"}, {"step": "-1"}, {"step": "²"}, {"run": "", "step": "1e9"}])
def test_a_wrong_address_is_no_traceback(place):
    finished_run(snapshots=True)
    app = visit(PAGE)
    for name, value in place.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    assert shown(app)["frames"]


def test_a_damaged_snapshot_is_left_out_and_said():
    run = finished_run(snapshots=True)
    snapshots(run)[2].write_bytes(b"torn")
    app = visit(PAGE)
    assert not app.exception
    assert "cannot be read: 1" in words(app)
    assert 2 not in [frame["step"] for frame in shown(app)["frames"]]


@pytest.mark.parametrize("settings", [{"model": "mlp"}, {"model": "two-conv", "head": "log-softmax"}])
def test_other_networks_are_shown_too(settings):
    finished_run(snapshots=True, **settings)
    app = visit(PAGE)
    assert not app.exception
    assert (shown(app)["frames"][0]["maps"] is None) == (settings["model"] == "mlp")


def test_a_drawing_is_shown_as_the_network_reads_it():
    run = finished_run(snapshots=True)
    app = visit("pages/draw.py", **{"canvas-0": drawn_seven()}).switch_page(PAGE).run()
    found = shown(app)
    assert found["words"]["drawnTitle"] == "Your drawing"
    (pixels,) = app.session_state["drawing"]["pictures"].values()
    expected = Predictor(run.checkpoint()).predict(pixels)
    assert found["frames"][-1]["drawn"][0] == expected.digit
    assert found["frames"][0]["drawn"][1] < expected.confidence
