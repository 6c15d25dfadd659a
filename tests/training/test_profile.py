import pytest
import torch

from mnist_core.config import Shape, TrainConfig
from mnist_core.errors import ConfigError
from mnist_core.training.profile import PARTS, seconds_per_image, step_seconds

CONFIG = TrainConfig(model="small-cnn", batch_size=32, dropout=0.5, rotation=5)


def test_every_part_of_every_step_takes_time():
    steps = step_seconds(CONFIG, Shape(), steps=2)
    assert len(steps) == 2
    assert all(tuple(step) == PARTS and all(0 < seconds < 5 for seconds in step.values()) for step in steps)


def test_measuring_leaves_a_training_beside_it_alone():
    before = torch.get_rng_state()
    seconds = seconds_per_image(CONFIG, Shape(), steps=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert 0 < seconds < 1


def test_an_image_of_a_larger_network_takes_longer():
    small, large = (seconds_per_image(CONFIG.replace(model=name), Shape()) for name in ("mlp", "two-conv"))
    assert large > small  # 1.2M parameters at full resolution against 0.1M


def test_an_unknown_model_is_refused():
    with pytest.raises(ConfigError):
        step_seconds(CONFIG.replace(model="no-such"), Shape())
