"""Several processes against one: the same images, gradients, statistics and weights."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from mnist_core.config import TrainConfig
from mnist_core.data.augment import Draws, augment
from mnist_core.errors import DataError, RunFailedError
from mnist_core.system.processes import Group
from mnist_core.training.batch_norm import synchronize_batch_norm
from mnist_core.training.state import TrainState
from mnist_core.training.together import agree, sum_gradients
from tests.helpers import ROOT
from tests.helpers.together import trained

# 1,149 training images in batches of 31, which neither 2 nor 3 divides; the last batch has 2, so one of 3 processes has
# no image. No layer of the network takes a maximum over places, where rounding decides between equal values
PLAIN = {
    "dataset": "digits",
    "model": "mlp",
    "epochs": 1,
    "batch_size": 31,
    "precision": "float32",
    "validation_fraction": 0.2,
    "validations_per_epoch": 2,
    "ema_decay": 0.9,
    "rotation": 10,
    "translation": 2,
    "elastic": 0.5,
    "erasing": 3,
    "flip": True,
    "learning_rate": 0.003,
    "schedule": "one-cycle",
    "l2_first": 0.001,
    "label_smoothing": 0.1,
    "batch_norm": False,
    "dropout": 0.0,
}
CONFIGS = {
    "adam": PLAIN,
    "labels that are wrong, classes as one-hot": {**PLAIN, "label_noise": 0.2, "labels": "one-hot"},
    # biases before a batch norm have no gradient but rounding, of which Adam would make steps
    "batch norm": {**PLAIN, "batch_norm": True, "optimizer": "sgd", "learning_rate": 0.05},
}


class Pretended(Group):
    """One of several processes; `sum` adds what the others are said to have."""

    def __init__(self, rank: int, size: int, others: list[torch.Tensor] | None = None) -> None:
        self.rank, self.size, self.others = rank, size, others or []

    def sum(self, tensor: torch.Tensor) -> None:
        for other in self.others:
            tensor += other


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    trained([*CONFIGS.values()], folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 3])
def test_weights_are_those_of_one_process(alone, tmp_path, processes):
    command = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes), "-m", "tests.helpers.together"]
    done = subprocess.run(
        [sys.executable, *command, json.dumps([*CONFIGS.values()]), str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    for number, name in enumerate(CONFIGS):
        whole = torch.load(alone / f"1-{number}-0.pt")
        found = [torch.load(tmp_path / f"{processes}-{number}-{rank}.pt") for rank in range(processes)]
        for weights in ("model", "average"):
            for key, expected in whole[weights].items():
                assert all(torch.equal(other[weights][key], found[0][weights][key]) for other in found), (name, key)
                difference = (found[0][weights][key] - expected).double().norm()
                assert difference <= 1e-4 * expected.double().norm(), (name, weights, key)
        kinds = [event["event"] for event in whole["events"]]
        assert kinds.count("validation") == 1
        for other in found:
            assert [event["event"] for event in other["events"]] == kinds
            for mine, theirs in zip(other["events"], whole["events"], strict=True):
                for key in {"loss", "accuracy", "lr", "train_accuracy", "val_loss", "val_accuracy"} & mine.keys():
                    assert mine[key] == pytest.approx(theirs[key], rel=1e-4)
            assert other["events"][0]["processes"] == processes
    assert len({event["loss"] for event in whole["events"] if event["event"] == "step"}) > 30  # it did train


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("images", [0, 1, 2, 7, 31, 64])
def test_parts_are_all_images_in_order_and_about_equal(size, images):
    rows = np.arange(images)
    parts = [rows[Pretended(rank, size).part(images)] for rank in range(size)]
    expected = np.array_split(rows, size)
    assert [part.tolist() for part in parts] == [part.tolist() for part in expected]


def test_a_part_is_augmented_as_within_its_batch():
    config = TrainConfig(rotation=20, translation=2, scaling=0.2, shear=5, elastic=1, flip=True, erasing=5)
    x = torch.rand(7, 1, 28, 28, generator=torch.Generator().manual_seed(1))

    def drawn(part: slice) -> torch.Tensor:
        return augment(x[part], config, Draws(7, part, torch.Generator().manual_seed(5)))

    whole = drawn(slice(None))
    assert not torch.allclose(whole, x, atol=0.1)
    parts = [drawn(Pretended(rank, 3).part(7)) for rank in range(3)]
    torch.testing.assert_close(torch.cat(parts), whole)
    assert drawn(slice(7, 7)).shape == (0, 1, 28, 28)


def test_augmentation_is_drawn_by_place_not_by_what_came_before(tiny_data):
    state = TrainState(TrainConfig(dataset="digits", model="mlp"), tiny_data)
    first = state.draws(4).uniform(state.device)
    torch.rand(5)
    assert torch.equal(state.draws(4).uniform(state.device), first)
    state.batch += 1
    assert not torch.equal(state.draws(4).uniform(state.device), first)
    state.epoch, state.batch = 1, 0
    assert not torch.equal(state.draws(4).uniform(state.device), first)


def test_dropout_differs_between_processes_and_not_in_time(tiny_data):
    drawn = {}
    for rank in (0, 1):
        state = TrainState(TrainConfig(dataset="digits", model="mlp"), tiny_data, group=Pretended(rank, 2))
        for _ in range(2):
            state.draws(4)
            drawn.setdefault(rank, []).append(torch.rand(3))
    assert torch.equal(*drawn[0])
    assert torch.equal(*drawn[1])
    assert not torch.equal(drawn[0][0], drawn[1][0])


def test_gradients_and_measurements_are_summed():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 4, 3)).to(memory_format=torch.channels_last)
    model[0].bias.requires_grad_(False)
    model(torch.rand(5, 1, 4, 4)).square().mean().backward()
    before = [weight.grad.clone() for weight in model.parameters() if weight.grad is not None]
    size = sum(gradient.numel() for gradient in before)
    other = torch.arange(size + 2.0)
    found = sum_gradients(model, torch.tensor([1.0, 2.0]), Pretended(0, 2, [other]))
    assert found == [1 + size, 2 + size + 1]
    after = torch.cat([weight.grad.flatten() for weight in model.parameters() if weight.grad is not None])
    torch.testing.assert_close(after, torch.cat([gradient.flatten() for gradient in before]) + other[:-2])
    assert model[0].bias.grad is None


@pytest.mark.parametrize("layer", [nn.BatchNorm1d, nn.BatchNorm2d])
def test_batch_norm_together_is_torchs_own(layer):
    """Alone in its group it has to give what torch's layer gives."""
    torch.manual_seed(0)
    x = torch.randn(31, 6, *([5, 5] if layer is nn.BatchNorm2d else [])) * 3 + 20
    ours, theirs = layer(6), layer(6)
    with torch.no_grad():
        theirs.weight.uniform_(0.5, 2)
        theirs.bias.normal_()
    ours.load_state_dict(theirs.state_dict())
    synchronize_batch_norm(nn.Sequential(ours), Pretended(0, 2))
    assert type(ours) is not layer
    assert isinstance(ours, layer)
    weight, inputs = torch.randn_like(x), [x.clone().requires_grad_() for _ in range(2)]
    for module, own in zip((ours, theirs), inputs, strict=True):
        (module(own) * weight).sum().backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours.bias.grad, theirs.bias.grad)
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict())
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))
    with torch.autocast("cpu", torch.bfloat16):
        assert ours.train()(x.bfloat16()).dtype == torch.bfloat16


def test_one_process_keeps_torchs_batch_norm():
    layer = nn.BatchNorm2d(3)
    synchronize_batch_norm(nn.Sequential(layer), Group())
    assert type(layer) is nn.BatchNorm2d


class Gathered(Pretended):
    """Two processes whose records differ as `other` says."""

    def __init__(self, other: dict[str, str]) -> None:
        super().__init__(0, 2)
        self.other = other

    def gather(self, value: dict[str, str]) -> list[dict[str, str]]:
        return [value, {**value, **self.other}]


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        ({"error": "The dataset is not there."}, "Process 1 on .* cannot begin: The dataset is not there"),
        ({"the version of torch": "1.0"}, "differ in the version of torch: .* process 1 on .* has 1.0"),
        ({"their images or labels": "other"}, "differ in their images or labels: process 0 on .* has digits with SHA"),
        ({"the weights they begin with": "x"}, "differ in the weights they begin with"),
    ],
)
def test_processes_that_differ_are_a_sentence(tiny_data, other, sentence):
    state = TrainState(TrainConfig(dataset="digits", model="mlp"), tiny_data)
    agree(Gathered({}), state, tiny_data)
    with pytest.raises(RunFailedError, match=sentence):
        agree(Gathered(other), state, tiny_data)


def test_one_process_raises_its_own_error():
    with pytest.raises(DataError, match="none"):
        agree(Group(), None, None, DataError("none"))
