"""A checkpoint in one file: as in a folder, byte for byte; what is damaged is a sentence."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from mnist_core.config import Shape, TrainConfig
from mnist_core.errors import CheckpointError
from mnist_core.models.checkpoint import load_checkpoint, save_checkpoint
from mnist_core.models.weights_file import read_weights_file, write_weights_file
from tests.helpers.checkpoints import random_network

CONFIG, SHAPE = TrainConfig(model="residual-cnn"), Shape(3, 32, 32, 4)
CARD = {
    "name": "é test",
    "architecture": CONFIG.model,
    "classes": list("abcd"),
    "input_shape": (3, 32, 32),
    "dataset": "cifar10",
    "config": CONFIG,
    "epoch": 1,
    "step": 7,
    "train_seconds": 0.5,
}


@pytest.fixture
def path(tmp_path):
    write_weights_file(tmp_path / "w.safetensors", random_network(CONFIG, SHAPE), **CARD)
    return tmp_path / "w.safetensors"


def test_card_and_weights_are_those_of_a_checkpoint(path, tmp_path):
    save_checkpoint(tmp_path / "c", random_network(CONFIG, SHAPE), **CARD)
    folder, file = load_checkpoint(tmp_path / "c"), read_weights_file(path)
    assert file.card == folder.card
    assert file.weights.keys() == folder.weights.keys()
    assert all(np.array_equal(file.weights[name], values) for name, values in folder.weights.items())


def test_the_safetensors_package_reads_it(path):
    assert load_file(path).keys() == random_network(CONFIG, SHAPE).state_dict().keys()


@pytest.mark.parametrize("damage", ["empty", "text", "torn", "bit", "no card", "other card"])
def test_a_damaged_one_is_a_sentence(path, damage):
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    if damage == "no card":
        del header["__metadata__"]
    if damage == "other card":
        header["__metadata__"]["card"] = header["__metadata__"]["card"].replace('"residual-cnn"', '"mlp"')
    text = json.dumps(header).encode()
    path.write_bytes(
        {
            "empty": b"",
            "text": b"no weights at all",
            "torn": content[:-100],
            "bit": content[:-1] + bytes([content[-1] ^ 1]),
        }.get(damage, len(text).to_bytes(8, "little") + text + content[8 + length :])
    )
    with pytest.raises(CheckpointError):
        read_weights_file(path)


def test_a_missing_one_is_a_sentence(tmp_path):
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_weights_file(tmp_path / "none.safetensors")
