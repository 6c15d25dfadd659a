"""Images a second by batch size: which size is suggested, and that what is measured is a training's step."""

import pytest

from mnist_core.data.prepare import load_for
from mnist_core.errors import ConfigError
from mnist_core.training import batch_speed as module
from mnist_core.training.batch_speed import Speed, batch_speeds, judged
from tests.helpers.runs import CONFIG


def speeds(*rates: float) -> list[Speed]:
    return [Speed(16 * 2**place, rate, 100) for place, rate in enumerate(rates)]


def test_the_smallest_size_that_no_larger_one_beats_is_suggested():
    found = judged(speeds(1000, 3000, 6000, 9800, 10388, 10400))
    assert found.suggestion == 128
    assert found.reason.startswith("128: 9,800 images a second; twice as large gains only 6%")
    assert "Half as large is 39% slower." in found.reason


def test_one_slow_look_does_not_end_the_search():
    assert judged(speeds(1000, 900, 6000, 6100)).suggestion == 64


def test_the_smallest_and_the_largest_are_said_as_such():
    assert judged(speeds(5000, 5000)).reason == (
        "16: 5,000 images a second; twice as large gains nothing, and has half of the steps to learn by."
    )
    assert "which were not measured" in judged(speeds(1000, 2000, 4000)).reason


def test_sizes_are_those_that_an_epoch_fills(monkeypatch):
    asked = []
    monkeypatch.setattr(module, "seconds_per_image", lambda config, shape, steps: asked.append(config) or 0.001)
    shares: list[float] = []
    found = batch_speeds(CONFIG, load_for(CONFIG), shares.append)  # 1,150 images
    assert [one.size for one in found.speeds] == [16, 32, 64, 128, 256, 512, 1024]
    assert [one.steps_per_epoch for one in found.speeds][-3:] == [5, 3, 2]
    assert {config.replace(batch_size=64) for config in asked} == {CONFIG.replace(batch_size=64)}
    assert shares[-1] == 1
    few = batch_speeds(CONFIG.replace(train_share=0.05), load_for(CONFIG))
    assert [one.size for one in few.speeds] == [16, 32]


def test_where_a_step_takes_seconds_larger_ones_are_not_tried(monkeypatch):
    monkeypatch.setattr(module, "seconds_per_image", lambda config, shape, steps: 0.1)
    assert [one.size for one in batch_speeds(CONFIG, load_for(CONFIG)).speeds] == [16, 32, 64]


def test_too_few_images_are_a_sentence():
    with pytest.raises(ConfigError, match="too few for batches of 16"):
        batch_speeds(CONFIG.replace(train_share=0.005), load_for(CONFIG))


def test_a_real_measurement_is_positive():
    found = batch_speeds(CONFIG, load_for(CONFIG), sizes=(16, 64))
    assert all(one.images_per_second > 0 for one in found.speeds)
    assert found.suggestion in (16, 64, None)  # None where this machine has other work


def test_of_a_disturbed_measurement_nothing_follows(monkeypatch):
    monkeypatch.setattr(module.time, "process_time", lambda: 0.0)
    monkeypatch.setattr(module, "default_device", lambda: "cpu")
    found = batch_speeds(CONFIG, load_for(CONFIG), sizes=(16, 64))
    assert found.suggestion is None
    assert "measure again when the machine is quiet" in found.reason
    assert len(found.speeds) == 2
