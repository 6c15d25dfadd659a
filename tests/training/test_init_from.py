"""A training that begins with a model's weights in place of random ones."""

from __future__ import annotations

import pytest
import torch

from mnist_core.config import TrainConfig
from mnist_core.errors import CheckpointError, ConfigError
from mnist_core.models.checkpoint import SHIPPED, load_checkpoint
from mnist_core.runs.execute import execute
from mnist_core.runs.run import create_run
from mnist_core.training.loop import train
from mnist_core.training.state import TrainState

CONFIG = TrainConfig(dataset="digits", model="mlp", epochs=1, learning_rate=1e-4, seed=3)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A checkpoint of a short training on `digits`, as a run leaves it."""
    folder = tmp_path_factory.mktemp("runs")
    run = create_run(CONFIG.replace(epochs=3, learning_rate=0.003), folder)
    execute(run)
    checkpoint = run.checkpoint()
    assert checkpoint is not None
    return checkpoint


def test_training_begins_with_given_weights_and_normalisation(trained, tiny_data):
    state = TrainState(CONFIG.replace(init_from=str(trained)), tiny_data)
    known = load_checkpoint(trained)
    for name, weights in known.model.state_dict().items():
        assert torch.equal(state.model.state_dict()[name], weights), name
    assert (state.mean, state.std) == (known.card.mean, known.card.std)
    assert torch.equal(state.model.mean, known.model.mean)
    fresh = TrainState(CONFIG, tiny_data)
    assert not torch.equal(fresh.model.first_dense.weight, state.model.first_dense.weight)


def test_training_from_given_weights_keeps_improving(trained, tiny_data):
    config = CONFIG.replace(init_from=str(trained))
    state = TrainState(config, tiny_data)
    before = state.model.first_dense.weight.detach().clone()
    *_, end = train(state, tiny_data)
    *_, fresh = train(TrainState(CONFIG, tiny_data), tiny_data)
    assert end["val_accuracy"] > 0.9 > fresh["val_accuracy"]
    assert not torch.equal(before, state.model.first_dense.weight)


def test_the_same_seed_gives_the_same_weights(trained, tiny_data):
    weights = []
    for _ in range(2):
        state = TrainState(CONFIG.replace(init_from=str(trained)), tiny_data)
        for _ in train(state, tiny_data):
            pass
        weights.append(state.model.first_dense.weight)
    assert torch.equal(*weights)


@pytest.mark.parametrize(
    ("changes", "needed"),
    [
        ({"model": "dense"}, "set model=mlp"),
        ({"activation": "silu"}, "set activation=relu"),
        ({"batch_norm": False, "head": "log-softmax"}, "set batch_norm=True, head=logits"),
    ],
)
def test_weights_of_another_network_are_refused_with_what_to_set(trained, tiny_data, changes, needed):
    with pytest.raises(ConfigError, match=needed):
        TrainState(CONFIG.replace(init_from=str(trained), **changes), tiny_data)


def test_weights_for_other_images_are_refused(colour_checkpoint, tiny_data):
    with pytest.raises(CheckpointError, match=r"3×32×32 pixels in 4 classes.* of digits have 1×28×28 pixels in 10"):
        TrainState(CONFIG.replace(init_from=str(colour_checkpoint)), tiny_data)


def test_a_missing_model_is_refused_with_a_list_of_models(tiny_data):
    with pytest.raises(CheckpointError, match=r"no checkpoint 'nobody'"):
        TrainState(CONFIG.replace(init_from="nobody"), tiny_data)


def test_the_command_line_refuses_before_a_run_is_made(refused, tmp_path):
    runs = tmp_path / "runs"
    sentence = refused("train", "--dataset", "digits", "--set", "init_from=accurate", "--runs-dir", str(runs))
    assert "set model=lab-cnn" in sentence
    assert "no checkpoint 'nobody'" in refused("train", "--dataset", "digits", "--set", "init_from=nobody")
    assert not runs.exists()


def test_a_run_goes_on_from_a_model_that_is_shipped(ask, tmp_path):
    card = load_checkpoint(SHIPPED / "tiny").card
    status, out, err = ask(
        *("train", "--recipe", "tiny", "--dataset", "digits", "--epochs", "1", "--runs-dir", str(tmp_path / "r")),
        *("--set", "init_from=tiny", "--set", "learning_rate=0.0001"),
    )
    assert status == 0, err
    (found,) = (tmp_path / "r").glob("2*/checkpoints/*")
    made = load_checkpoint(found).card
    assert made.mean == card.mean
    assert made.config.init_from == "tiny"
    assert made.metrics["val_accuracy"] > 0.9, out


def test_kept_weights_lie_between_the_first_and_the_last(trained, tiny_data):
    config = CONFIG.replace(init_from=str(trained), init_share=0.25, learning_rate=0.01, ema_decay=0.5)
    state = TrainState(config, tiny_data)
    first = {name: value.clone() for name, value in state.model.state_dict().items()}
    for _ in train(state, tiny_data):
        pass
    last = state.ema.module.state_dict()
    for name, kept in state.best_model.state_dict().items():
        expected = 0.25 * first[name] + 0.75 * last[name] if kept.is_floating_point() else last[name]
        torch.testing.assert_close(kept, expected)
    assert state.best_model is state.best_model  # made once a step
    again = TrainState(config, tiny_data)
    again.load_state_dict(state.state_dict())
    for name, kept in again.best_model.state_dict().items():
        assert torch.equal(kept, state.best_model.state_dict()[name])
