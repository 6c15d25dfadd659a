"""The settings of a lab that others can reach, and the one sentence for each that makes no sense."""

import pytest

from mnist_core.config import TrainConfig
from mnist_core.errors import ConfigError
from mnist_core.runs.execute import execute
from mnist_core.runs.run import create_run
from mnist_core.system.settings import Limits, data_folder, limits


def test_without_settings_everything_is_allowed():
    assert limits() == Limits(mode="full", max_epochs=None, max_minutes=None, max_queue=None, max_storage=None)


def test_settings_are_read_anew_each_time(monkeypatch):
    monkeypatch.setenv("MNIST_LAB_MODE", "read-only")
    monkeypatch.setenv("MNIST_LAB_MAX_EPOCHS", " 20 ")
    monkeypatch.setenv("MNIST_LAB_MAX_MINUTES", "0.5")
    monkeypatch.setenv("MNIST_LAB_MAX_QUEUE", "0")
    monkeypatch.setenv("MNIST_LAB_MAX_STORAGE", "")
    assert limits() == Limits(mode="read-only", max_epochs=20, max_minutes=0.5, max_queue=0)
    monkeypatch.delenv("MNIST_LAB_MODE")
    assert limits().mode == "full"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MODE", "readonly"),
        ("MODE", "READ-ONLY"),
        ("MAX_EPOCHS", "0"),
        ("MAX_EPOCHS", "ten"),
        ("MAX_MINUTES", "-1"),
        ("MAX_MINUTES", "nan"),
        ("MAX_MINUTES", "inf"),
        ("MAX_QUEUE", "1.5"),
        ("MAX_STORAGE", "5 GB"),
    ],
)
def test_an_invalid_setting_is_named(name, value, monkeypatch, refused):
    monkeypatch.setenv(f"MNIST_LAB_{name}", value)
    with pytest.raises(ConfigError, match=f"^MNIST_LAB_{name} should be .*{value}"):
        limits()
    assert f"MNIST_LAB_{name}" in refused("train", "--recipe", "quick", "--dataset", "digits")


def test_the_time_limit_counts_from_its_minute_on():
    assert not Limits().over_time(1e9)
    assert not Limits(max_minutes=2).over_time(119.9)
    assert "2 minutes" in Limits(max_minutes=2).over_time(120.0)


def test_a_run_over_its_time_limit_stops_with_a_reason(monkeypatch):
    monkeypatch.setenv("MNIST_LAB_MAX_MINUTES", "0.000001")
    run = create_run(TrainConfig(recipe="quick", dataset="digits", epochs=5))
    execute(run)
    status = run.status()
    assert status.state == "stopped"
    assert "1e-06 minutes" in status.reason
    assert run.checkpoint() is not None
    monkeypatch.delenv("MNIST_LAB_MAX_MINUTES")
    execute(run)  # what there was is not lost: without the limit it goes on to its end
    assert run.status().state == "completed"


def test_the_data_folder_comes_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("MNIST_LAB_DATA", str(tmp_path))
    assert data_folder() == tmp_path
    monkeypatch.setenv("MNIST_LAB_DATA", "")
    assert str(data_folder()) == "data"
