"""Whatever is wrong with a checkpoint is found when it is loaded, told in a sentence, and never executed."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from mnist_core.config import Shape, TrainConfig
from mnist_core.errors import CheckpointError
from mnist_core.inference.network import Network
from mnist_core.models import checkpoint as module
from mnist_core.models.checkpoint import (
    CARD,
    WEIGHTS,
    find_checkpoint,
    is_whole,
    load_checkpoint,
    read_card,
    save_checkpoint,
    shipped_names,
    update_card,
)
from mnist_core.models.classifier import Classifier, build_model


def save(folder, model: str = "small-cnn", **card: object) -> Classifier:
    config = TrainConfig(model=model, dataset="digits")
    network = build_model(config, Shape(), [0.2], [0.3])
    network.train()(torch.rand(16, 1, 28, 28))  # batch norm now has statistics of its own
    fields = {
        "name": "a test",
        "architecture": model,
        "classes": list("0123456789"),
        "input_shape": (1, 28, 28),
        "dataset": "digits",
        "config": config,
        "epoch": 1,
        "step": 5,
        "train_seconds": 1.5,
        "metrics": {"val_accuracy": 0.5},
    }
    save_checkpoint(folder, network, **{**fields, **card})
    return network.eval()


@pytest.fixture
def folder(tmp_path):
    save(tmp_path / "good")
    return tmp_path / "good"


def edit(folder, **changes: object) -> None:
    card = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps({**card, **changes}))


def exchange_weights(folder, weights: bytes) -> None:
    """With the card's sum made to fit, as somebody would who means it."""
    (folder / WEIGHTS).write_bytes(weights)
    edit(folder, weights_sha256=hashlib.sha256(weights).hexdigest())


# ---- there and back -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["small-cnn", "lab-cnn", "mlp"])
def test_a_loaded_model_answers_as_the_saved_one_bit_for_bit(tmp_path, name):
    network = save(tmp_path / "c", name)
    loaded = load_checkpoint(tmp_path / "c")
    images = torch.rand(7, 1, 28, 28)
    with torch.no_grad():
        assert torch.equal(loaded.model(images), network(images))
    assert not loaded.model.training
    assert loaded.folder == tmp_path / "c"


def test_the_card_tells_what_the_weights_are(folder):
    card = json.loads((folder / CARD).read_text())
    weights = (folder / WEIGHTS).read_bytes()
    assert card["weights_sha256"] == hashlib.sha256(weights).hexdigest()
    assert card["parameters"] == 24_954
    assert (card["mean"], card["std"]) == ([0.2], [0.3])
    assert card["versions"]["torch"] == torch.__version__
    assert read_card(folder).shape == Shape(1, 28, 28, 10)
    assert read_card(folder).config == TrainConfig(model="small-cnn", dataset="digits")
    assert sorted(p.name for p in folder.iterdir()) == [CARD, WEIGHTS]


def test_updating_a_card_leaves_the_weights(folder):
    before = (folder / WEIGHTS).read_bytes()
    update_card(folder, metrics={"test_accuracy": 0.75}, summary="Good.")
    assert (folder / WEIGHTS).read_bytes() == before
    card = load_checkpoint(folder).card
    assert card.metrics == {"test_accuracy": 0.75}
    assert card.summary == "Good."


def test_loading_leaves_the_random_state_alone(folder):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    assert isinstance(load_checkpoint(folder).model, Classifier)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_module_is_made_once_and_leaves_the_weights(folder):
    loaded = load_checkpoint(folder)
    stored = safetensors.torch.load((folder / WEIGHTS).read_bytes())
    assert loaded.weights.keys() == stored.keys()
    model = loaded.model
    assert loaded.model is model
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()  # as a training that goes on from it would change it
    for name, tensor in stored.items():
        np.testing.assert_array_equal(loaded.weights[name], tensor)


@pytest.mark.parametrize("move", [1, 2])
def test_a_crash_while_saving_leaves_no_card_of_other_weights(folder, monkeypatch, move):
    replace, moves = os.replace, []

    def crash(source: Path, target: Path) -> None:
        if target.parent == folder:  # a thread that an earlier test left behind may move files of its own
            moves.append(target)
            if len(moves) == move:
                raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        save(folder)
    assert [path.name for path in folder.iterdir()] == [WEIGHTS]
    assert not is_whole(folder)
    with pytest.raises(CheckpointError, match="There is no checkpoint"):
        load_checkpoint(folder)


def test_a_full_disk_leaves_the_checkpoint_that_was_there(folder, monkeypatch):
    before, fsync, synced = {path.name: path.read_bytes() for path in folder.iterdir()}, os.fsync, []

    def full(file: int) -> None:
        synced.append(file)
        if len(synced) == 2:  # the weights have found room, the card has not
            raise OSError(28, "No space left on device")
        fsync(file)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_checkpoint_is_whole_until_one_of_its_files_changes(folder):
    assert is_whole(folder)
    weights = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    assert not is_whole(folder)
    (folder / WEIGHTS).write_bytes(weights)
    assert is_whole(folder)
    (folder / CARD).write_text("{}")
    assert not is_whole(folder)
    (folder / CARD).unlink()
    assert not is_whole(folder)


# ---- damaged --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [0.0, 0.01, 0.5, 0.999])
def test_a_single_flipped_bit_is_found(folder, place):
    weights = bytearray((folder / WEIGHTS).read_bytes())
    weights[int(place * len(weights))] ^= 1
    (folder / WEIGHTS).write_bytes(weights)
    with pytest.raises(CheckpointError, match="SHA-256 differs"):
        load_checkpoint(folder)


@pytest.mark.parametrize("length", [0, 7, 100, -1])
def test_truncated_weights_are_found_despite_the_card(folder, length):
    torn = (folder / WEIGHTS).read_bytes()[:length]
    (folder / WEIGHTS).write_bytes(torn)
    with pytest.raises(CheckpointError, match="SHA-256 differs"):
        load_checkpoint(folder)
    exchange_weights(folder, torn)
    with pytest.raises(CheckpointError, match="do not fit"):
        load_checkpoint(folder)


def test_weights_of_another_network_are_found_despite_the_card(folder, tmp_path):
    save(tmp_path / "other", "lab-cnn")
    exchange_weights(folder, (tmp_path / "other" / WEIGHTS).read_bytes())
    with pytest.raises(CheckpointError, match="do not fit the architecture 'small-cnn'"):
        load_checkpoint(folder)


def test_weights_with_one_tensor_less_or_more_are_found(folder):
    good = safetensors.torch.load((folder / WEIGHTS).read_bytes())
    for tensors in ({**good, "extra": torch.zeros(1)}, dict(list(good.items())[1:])):
        exchange_weights(folder, safetensors.torch.save(tensors))
        with pytest.raises(CheckpointError, match="do not fit"):
            load_checkpoint(folder)


@pytest.mark.parametrize("name", ["net.0.weight", "net.1.running_mean", "net.1.num_batches_tracked"])
@pytest.mark.parametrize("change", ["missing", "of another shape", "with one axis more", "under another name"])
def test_any_tensor_that_does_not_fit_is_found(folder, name, change):
    tensors = safetensors.torch.load((folder / WEIGHTS).read_bytes())
    taken = tensors.pop(name)
    match change:
        case "of another shape":
            tensors[name] = torch.zeros(3)
        case "with one axis more":
            tensors[name] = taken[None].clone()
        case "under another name":
            tensors[name.removeprefix("net.")] = taken
    exchange_weights(folder, safetensors.torch.save(tensors))
    with pytest.raises(CheckpointError, match="do not fit the architecture 'small-cnn'"):
        load_checkpoint(folder)


def in_dtype(folder, dtype: torch.dtype, factor: float = 1) -> dict[str, torch.Tensor]:
    """Stores the checkpoint's weights in `dtype`; gives them as float32, as they can be read back."""
    stored = safetensors.torch.load((folder / WEIGHTS).read_bytes())
    floats = {name: (tensor.double() * factor).to(dtype) for name, tensor in stored.items() if tensor.dim()}
    exchange_weights(folder, safetensors.torch.save({**stored, **floats}))
    return {**stored, **{name: tensor.float() for name, tensor in floats.items()}}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_weights_of_another_precision_are_read(folder, dtype):
    network = load_checkpoint(folder).model
    network.load_state_dict(in_dtype(folder, dtype))
    loaded, images = load_checkpoint(folder), torch.randint(0, 256, (5, 1, 28, 28), dtype=torch.uint8)
    with torch.no_grad():
        expected = network(images / 255)
        torch.testing.assert_close(loaded.model(images / 255), expected)
    np.testing.assert_allclose(Network(loaded).logits(images.numpy()), expected, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float8_e4m3fn])
def test_weights_of_a_type_that_numpy_lacks_are_refused(folder, dtype):
    in_dtype(folder, dtype)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("dtype", "factor"), [(torch.float32, float("nan")), (torch.float32, 1e300), (torch.float64, 1e300)]
)
def test_weights_that_are_not_finite_as_float32_are_refused(folder, dtype, factor):
    in_dtype(folder, dtype, factor)
    with pytest.raises(CheckpointError, match="not finite"):
        load_checkpoint(folder)


def test_a_missing_file_is_named(folder, tmp_path):
    with pytest.raises(CheckpointError, match=r"has no card\.json"):
        load_checkpoint(tmp_path / "nowhere")
    (folder / WEIGHTS).unlink()
    with pytest.raises(CheckpointError, match=r"no readable model\.safetensors"):
        load_checkpoint(folder)
    (folder / CARD).unlink()
    with pytest.raises(CheckpointError, match=r"has no card\.json"):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"weights_sha256": "0" * 64},
        {"weights_sha256": "not a sum"},
        {"architecture": "lab-cnn"},
        {"architecture": "mlp"},
        {"architecture": "resnet"},
        {"classes": list("012")},
        {"classes": []},
        {"mean": [0.1, 0.2]},
        {"std": []},
        {"std": [0.0]},
        {"std": [-1.0]},
        {"std": [float("nan")]},
        {"mean": [float("inf")]},
        {"input_shape": [3, 28, 28]},
        {"input_shape": [1, 28]},
        {"input_shape": [1, 0, 28]},
        {"input_shape": [1, -28, -28]},
        {"input_shape": [0, 28, 28], "mean": [], "std": []},
        {"input_shape": [1, 10**9, 10**9]},
        {"input_shape": [10**12, 10**12, 10**12]},
        {"config": {"dropout": 5}},
        {"config": {"batch_norm": False}},
        {"config": None},
        {"epoch": -1},
        {"format": 2},
        {"unknown": 1},
    ],
    ids=lambda changes: json.dumps(changes)[:50],
)
def test_an_edited_card_is_refused_in_one_sentence(folder, changes):
    edit(folder, **changes)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe", b"[" * 100_000, b" " * 1_100_000], ids=range(8)
)
def test_what_is_no_card_is_refused(folder, content):
    (folder / CARD).write_bytes(content)
    with pytest.raises(CheckpointError, match=r"card\.json"):
        load_checkpoint(folder)


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="peak memory is read from /proc")
def test_a_card_with_a_huge_input_takes_no_memory(tmp_path):
    """100 kB of weights must not make the lab reserve 0.5 GB (or, for `two-conv`, 8.5 GB) before it refuses them."""
    save(tmp_path / "c", "mlp")
    edit(tmp_path / "c", input_shape=[1, 1024, 1024])
    program = (
        "import re, sys\nimport mnist_core.models.classifier, safetensors.torch  # torch takes memory of its own\n"
        "from mnist_core.errors import CheckpointError; from mnist_core.models.checkpoint import load_checkpoint\n"
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+) kB', open('/proc/self/status').read())[1]) // 1024\n"
        "before = peak()\n"
        "try:\n    load_checkpoint(sys.argv[1])\n"
        "except CheckpointError: print(peak() - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "c")], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 200, f"{done.stdout} MB were taken"


# ---- names ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def shipped(tmp_path, monkeypatch, folder):
    """`checkpoints/` with one checkpoint in it, and a folder that is none."""
    ships = tmp_path / "ships"
    save(ships / "fine", "mlp")
    (ships / "empty").mkdir()
    monkeypatch.setattr(module, "SHIPPED", ships)
    monkeypatch.chdir(tmp_path)
    return ships


def test_a_shipped_name_or_a_folders_path_is_found(shipped, folder):
    assert find_checkpoint("fine") == shipped / "fine"
    assert find_checkpoint(str(folder)).samefile(folder)
    assert find_checkpoint("./good").samefile(folder)
    assert shipped_names() == ["fine"]


@pytest.mark.parametrize(
    "name", ["", "nothing", "empty", "../x", "/nowhere/at/all", "fine/card.json", "a\0b", "x" * 300]
)
def test_a_name_without_a_checkpoint_lists_the_shipped_ones(shipped, name):
    with pytest.raises(CheckpointError, match=r"There is no checkpoint.*Shipped: fine"):
        find_checkpoint(name)


@pytest.mark.parametrize("name", [".", "..", "ships/../ships"])
def test_a_folder_that_is_no_checkpoint_is_refused_when_loaded(shipped, name):
    save(shipped.parent.parent / CARD.removesuffix(".json"), "mlp")
    with pytest.raises(CheckpointError, match=r"no card\.json"):
        load_checkpoint(find_checkpoint(name))


def test_without_any_shipped_checkpoint_there_are_none(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SHIPPED", tmp_path / "gone")
    assert shipped_names() == []
    with pytest.raises(CheckpointError, match="Shipped: none"):
        find_checkpoint("accurate")
