"""A model as ONNX for other programs: opened by ONNX Runtime alone, and handed out only when it agrees with torch."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from mnist_core.cli import main
from mnist_core.config import Shape, TrainConfig
from mnist_core.errors import CheckpointError
from mnist_core.inference import onnx_file as module
from mnist_core.inference.onnx_file import TOLERANCE, difference, onnx_file
from mnist_core.models.checkpoint import SHIPPED, load_checkpoint
from mnist_core.models.classifier import to_unit
from tests.helpers.checkpoints import saved


@pytest.mark.parametrize("name", ["pen", "tiny"])
def test_onnx_runtime_reads_it_as_torch_reads_the_model(name):
    content = onnx_file(SHIPPED / name)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (given,), (answer,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.shape[1:]) == ("images", [1, 28, 28])
    assert (answer.name, answer.shape[1:]) == ("probabilities", [10])
    model = load_checkpoint(SHIPPED / name).model
    for count in (1, 7):  # of any number of images
        images = np.random.default_rng(count).integers(0, 256, (count, 1, 28, 28), dtype=np.uint8)
        found = session.run(["probabilities"], {"images": (images / 255).astype(np.float32)})[0]
        with torch.inference_mode():
            np.testing.assert_allclose(found, model(to_unit(images)).softmax(dim=1), atol=TOLERANCE)
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


def test_its_metadata_say_what_a_reader_needs():
    model = onnx.load_from_string(onnx_file(SHIPPED / "tiny"))
    onnx.checker.check_model(model, full_check=True)
    card = load_checkpoint(SHIPPED / "tiny").card
    found = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(found["classes"]) == card.classes
    assert (found["preparation"], found["ground"]) == ("drawing", "dark")
    assert found["weights_sha256"] == card.weights_sha256
    assert json.loads(found["metrics"]) == card.metrics


def test_colour_and_names_in_any_script_are_kept(tmp_path):
    saved(tmp_path / "c", TrainConfig(model="small-cnn"), Shape(3, 32, 24, 4))
    session = onnxruntime.InferenceSession(onnx_file(tmp_path / "c"), providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape[1:] == [3, 32, 24]


def test_what_differs_from_torch_is_not_handed_out(monkeypatch):
    checkpoint = load_checkpoint(SHIPPED / "tiny")
    weights = {name: np.asarray(values * 1.1, values.dtype) for name, values in checkpoint.weights.items()}
    assert difference(onnx_file(SHIPPED / "tiny"), checkpoint) <= TOLERANCE
    monkeypatch.setattr(
        module, "difference", lambda content, _: difference(content, replace(checkpoint, weights=weights))
    )
    with pytest.raises(CheckpointError, match="is not handed out"):
        onnx_file(SHIPPED / "tiny")


@pytest.mark.parametrize(("kind", "name"), [("onnx", "model.onnx"), ("html", "model.html")])
def test_the_command_writes_a_file_and_says_where(tmp_path, capsys, kind, name):
    assert main(["export", "tiny", str(tmp_path / "out"), "--format", kind, "--json"]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [Path(file) for file in said["files"]] == [tmp_path / "out" / name]
    assert (tmp_path / "out" / name).stat().st_size > 80_000


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["best", "new", "--format", "html"], "1.9 MB of weights"),
        (["tiny", "new", "--format", "onnx", "--summary", "x"], "leave them out"),
        (["nothing", "new", "--format", "onnx"], "There is no checkpoint 'nothing'"),
    ],
)
def test_what_cannot_be_exported_is_told_and_writes_nothing(tmp_path, monkeypatch, capsys, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    assert main(["export", *arguments]) != 0
    assert sentence in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
