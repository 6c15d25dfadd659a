"""Distillation: a network that learns from what other models answer, beside the labels or in their place."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F

from mnist_core.config import Shape, TrainConfig
from mnist_core.data.dataset import NO_CLASS, Dataset
from mnist_core.errors import CheckpointError
from mnist_core.models.checkpoint import load_checkpoint
from mnist_core.models.classifier import infer, to_unit
from mnist_core.runs.execute import execute
from mnist_core.runs.run import create_run
from mnist_core.training import profile
from mnist_core.training.loop import train
from mnist_core.training.loss import teacher_probabilities, training_loss
from mnist_core.training.state import TrainState, load_teachers

CONFIG = TrainConfig(dataset="digits", model="mlp", epochs=2, batch_size=32, learning_rate=0.003, seed=3)


@pytest.fixture(scope="module")
def teachers(tmp_path_factory) -> list[str]:
    """Two checkpoints of different architectures, each from a short training on `digits`."""
    names = []
    for settings in ({"epochs": 4}, {"epochs": 2, "model": "small-cnn", "dropout": 0.5}):
        run = create_run(CONFIG.replace(**settings), tmp_path_factory.mktemp("runs"))
        execute(run)
        names.append(str(run.checkpoint()))
    return names


def finish(config: TrainConfig, data: Dataset) -> TrainState:
    state = TrainState(config, data)
    for _ in train(state, data):
        pass
    return state


def test_teachers_answer_with_their_mean_and_stay_unchanged(teachers, tiny_data):
    config = CONFIG.replace(teachers=", ".join(teachers))
    models = load_teachers(config, tiny_data.shape)
    x = to_unit(tiny_data.test_images[:9])
    alone = [F.softmax(load_checkpoint(name).model.eval()(x), dim=1) for name in teachers]
    torch.testing.assert_close(teacher_probabilities(models, x), (alone[0] + alone[1]) / 2)
    assert not teacher_probabilities(models, x).requires_grad
    assert teacher_probabilities([], x) is None

    state = TrainState(config, tiny_data)
    before = [{name: value.clone() for name, value in model.state_dict().items()} for model in state.teachers]
    for _ in train(state, tiny_data):
        pass
    for model, known in zip(state.teachers, before, strict=True):
        assert not model.training
        for name, value in model.state_dict().items():
            assert torch.equal(value, known[name]), name


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("labels", ["index", "one-hot"])
def test_the_loss_is_against_labels_and_teachers_in_their_shares(share, labels):
    generator = torch.Generator().manual_seed(0)
    logits, answers = torch.randn(6, 4, generator=generator), torch.tensor([0, 1, 2, 3, 1, 0])
    soft_targets = torch.randn(6, 4, generator=generator).softmax(dim=1)
    config = CONFIG.replace(distillation=share, labels=labels)
    against_labels = F.nll_loss(logits.log_softmax(dim=1), answers)
    against_teachers = -(soft_targets * logits.log_softmax(dim=1)).sum(dim=1).mean()
    expected = (1 - share) * against_labels + share * against_teachers
    torch.testing.assert_close(training_loss(config, None, logits, answers, soft_targets), expected)


def test_teachers_are_not_asked_about_non_digits():
    logits, soft_targets = torch.randn(2, 4), torch.tensor([[1.0, 0, 0, 0], [0, 1.0, 0, 0]])
    config = CONFIG.replace(non_digits=10, distillation=1.0)
    even = -logits[1].log_softmax(dim=0).mean()
    right = -logits[0].log_softmax(dim=0)[0]
    measured = training_loss(config, None, logits, torch.tensor([2, NO_CLASS]), soft_targets)
    torch.testing.assert_close(measured, (even + right) / 2)


def test_with_teachers_alone_wrong_labels_do_no_harm(teachers, tiny_data):
    wrong = (tiny_data.train_labels + 1) % 10
    mislabelled = Dataset(
        "digits", tiny_data.classes, tiny_data.train_images, wrong, tiny_data.test_images, tiny_data.test_labels
    )

    def agreement(**settings: object) -> float:
        state = finish(CONFIG.replace(epochs=15, **settings), mislabelled)
        return float((infer(state.model, tiny_data.test_images).argmax(dim=1) == tiny_data.test_labels).float().mean())

    assert agreement() < 0.1
    assert agreement(teachers=teachers[0], distillation=1.0) > 0.8


def test_the_same_seed_gives_the_same_weights_after_a_resume(teachers, tiny_data):
    config = CONFIG.replace(teachers=",".join(teachers), rotation=10.0, dropout=0.2)
    whole = finish(config, tiny_data)
    first = TrainState(config, tiny_data)
    for event in train(first, tiny_data):
        if event["event"] == "step" and event["step"] == 5:
            break
    saved = copy.deepcopy(first.state_dict())
    second = TrainState(config, tiny_data)
    second.load_state_dict(saved)
    for _ in train(second, tiny_data):
        pass
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[name]), name
    without = finish(config.replace(teachers=""), tiny_data)
    assert not torch.equal(without.model.first_dense.weight, whole.model.first_dense.weight)


def test_the_time_estimate_includes_teachers(teachers, monkeypatch):
    asked = []
    monkeypatch.setattr(profile, "teacher_probabilities", lambda models, x: asked.append((len(models), len(x))))
    profile.step_seconds(CONFIG.replace(teachers=",".join(teachers)), Shape(), steps=3)
    assert asked == [(2, 32)] * 3
    with pytest.raises(CheckpointError, match="no checkpoint 'nobody'"):
        profile.step_seconds(CONFIG.replace(teachers="nobody"), Shape())


def test_an_unsuitable_or_missing_teacher_is_refused(teachers, colour_checkpoint, tiny_data):
    with pytest.raises(CheckpointError, match=r"3×32×32 pixels in 4 classes.* of digits have 1×28×28 pixels in 10"):
        TrainState(CONFIG.replace(teachers=f"{teachers[0]},{colour_checkpoint}"), tiny_data)
    with pytest.raises(CheckpointError, match=r"no checkpoint 'nobody'"):
        TrainState(CONFIG.replace(teachers=f"{teachers[0]}, nobody"), tiny_data)


def test_the_command_line_trains_with_shipped_teachers(refused, ask, tmp_path):
    train_one = ("train", "--dataset", "digits", "--epochs", "1", "--runs-dir", str(tmp_path / "r"))
    assert "no checkpoint 'nobody'" in refused(*train_one, "--set", "teachers=tiny,nobody")
    assert "distillation should be" in refused(*train_one, "--set", "teachers=tiny", "--set", "distillation=2")
    assert not (tmp_path / "r").exists()
    status, _, err = ask(*train_one, "--set", "teachers=tiny, accurate")
    assert status == 0, err
    (found,) = (tmp_path / "r").glob("2*/checkpoints/*")
    assert load_checkpoint(found).card.config.teachers == "tiny, accurate"
