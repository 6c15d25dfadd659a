"""ONNX Runtime against the same checkpoint in torch; in parts against in one."""

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from mnist_core.config import Shape, TrainConfig
from mnist_core.data.loading import load_dataset
from mnist_core.data.mnist import mnist_available
from mnist_core.drawing.preprocess import to_model_input
from mnist_core.drawing.strokes import european_one, render_strokes
from mnist_core.explain.neighbours import features
from mnist_core.inference.first_layer import maps
from mnist_core.inference.network import CHUNK, Network, _given
from mnist_core.models.architectures import MODELS
from mnist_core.models.checkpoint import find_checkpoint, load_checkpoint, shipped_names
from tests.helpers.checkpoints import saved
from tests.helpers.drawing import EIGHT, SEVEN

DRAWINGS = 1000


@pytest.fixture(scope="module")
def network(tmp_path_factory) -> Network:
    return Network(saved(tmp_path_factory.mktemp("network") / "c"))


def noise(count: int, channels: int = 1, side: int = 28) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, channels, side, side), dtype=np.uint8)


@pytest.fixture(scope="module")
def drawings(data_dir) -> np.ndarray:
    """(1000, 1, 28, 28): test digits of MNIST where it is, of scikit-learn elsewhere; and pen strokes of any pen."""
    digits = load_dataset("mnist" if mnist_available(data_dir) else "digits", data_dir).test_images
    random, pictures = np.random.default_rng(0), list(digits[: DRAWINGS - 300, 0])
    while len(pictures) < DRAWINGS:
        strokes = (SEVEN, EIGHT, european_one(*random.uniform(0.2, 0.6, 2)))[len(pictures) % 3]
        shaky = [[(x + random.normal(0, 2), y + random.normal(0, 2)) for x, y in stroke] for stroke in strokes]
        drawn = render_strokes(shaky, (100, 100), brush=random.uniform(8, 30), height=random.uniform(0.3, 0.9))
        pictures.append(to_model_input(drawn))
    return np.stack(pictures)[:, None]


@pytest.mark.parametrize("name", shipped_names())
def test_a_shipped_model_answers_as_in_torch(name, drawings):
    checkpoint = load_checkpoint(find_checkpoint(name))
    with torch.inference_mode():
        parts = torch.from_numpy(drawings).split(250)
        expected = torch.cat([checkpoint.model(part / 255) for part in parts])
    found = Network(checkpoint).infer(drawings)
    assert len(found) == DRAWINGS
    np.testing.assert_allclose(found, expected, atol=1e-4)
    odds = np.exp(found.astype(float))
    np.testing.assert_allclose(odds / odds.sum(axis=1, keepdims=True), expected.double().softmax(dim=1), atol=1e-4)


@pytest.mark.parametrize("learning", [False, True], ids=["", "learning"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", MODELS)
def test_features_are_those_of_torch(tmp_path, name, channels, learning):
    side = 28 if channels == 1 else 32
    checkpoint = saved(tmp_path / "c", TrainConfig(model=name), Shape(channels, side, side, 4), temperature=2.0)
    images = noise(CHUNK + 3, channels, side)
    network = Network(checkpoint, learning)
    logits, found = network.infer_with_features(images)
    np.testing.assert_allclose(found, features(checkpoint.model, images), rtol=0, atol=1e-4)
    np.testing.assert_array_equal(logits, network.infer(images))


def test_checkpoints_of_a_training_share_a_session_alone(tmp_path):
    first = saved(tmp_path / "c")
    halved = {name: values / 2 if values.ndim > 1 else values for name, values in reversed(first.weights.items())}
    checkpoints = [first, replace(first, weights=halved)]
    images = noise(7)
    networks = [Network(each, learning=True) for each in checkpoints]
    before = _given.cache_info()
    assert [Network(each, learning=True) for each in checkpoints]
    assert _given.cache_info().misses == before.misses
    for checkpoint, network in zip(checkpoints, networks, strict=True):
        np.testing.assert_allclose(network.logits(images), Network(checkpoint).logits(images), atol=1e-4)
        one, other = (maps(checkpoint, images[0], learning=learning) for learning in (True, False))
        np.testing.assert_allclose(one, other, atol=1e-4)
    assert not np.allclose(networks[0].logits(images), networks[1].logits(images), atol=0.1)
    other_layers = saved(tmp_path / "d", TrainConfig(model="small-cnn", activation="tanh"))
    found = Network(other_layers, learning=True).logits(images)
    np.testing.assert_allclose(found, Network(other_layers).logits(images), atol=1e-4)


@pytest.mark.parametrize("name", shipped_names())
def test_features_of_shipped_models_are_those_of_torch(name, drawings):
    checkpoint = load_checkpoint(find_checkpoint(name))
    expected = features(checkpoint.model, drawings)
    assert expected.std() > 0.05
    np.testing.assert_allclose(Network(checkpoint).infer_with_features(drawings)[1], expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("head", ["logits", "log-softmax"])
def test_logits_are_divided_by_the_cards_temperature(tmp_path, temperature, head):
    config, shape = TrainConfig(model="residual-cnn", head=head), Shape(3, 32, 32, 4)
    checkpoint = saved(tmp_path / "c", config, shape, temperature)
    images = noise(5, 3, 32)
    with torch.no_grad():
        expected = checkpoint.model(torch.from_numpy(images) / 255)
        checkpoint.model.temperature = 1.0
        plain = checkpoint.model(torch.from_numpy(images) / 255)
    found = Network(checkpoint).logits(images)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_allclose(found * temperature, plain, atol=1e-4)


def test_floats_between_levels_are_read_as_levels_are(network):
    images = noise(4)
    np.testing.assert_array_equal(network.logits(images), network.logits(images.astype(np.float32)))
    assert np.abs(network.logits(images) - network.logits(images + np.float32(0.4))).max() > 0
    assert network.logits(images).dtype == np.float32


@pytest.mark.parametrize("count", [1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7])
def test_large_sets_are_answered_in_parts_as_in_one(network, count):
    images = noise(count)
    shares: list[float] = []
    found = network.infer(images, shares.append)
    np.testing.assert_allclose(found, network.logits(images), atol=1e-5)
    assert len(shares) == -(-count // CHUNK)
    assert shares == sorted(shares)
    assert shares[0] > 0
    assert shares[-1] == 1


def test_images_that_lie_otherwise_in_memory_are_read_alike(network):
    images = noise(6)
    expected = network.infer(images)
    np.testing.assert_array_equal(network.infer(np.asfortranarray(images)), expected)
    np.testing.assert_array_equal(network.infer(images[::-1]), expected[::-1])
    np.testing.assert_array_equal(network.infer(np.repeat(images, 2, axis=0)[::2]), expected)


def test_an_error_of_the_progress_ends_the_inference(network):
    def broken(_share: float) -> None:
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        network.infer(noise(3), broken)
    assert network.infer(noise(3)).shape == (3, 10)


def test_threads_may_share_a_network(network):
    images = [noise(50 + number) for number in range(4)]
    expected = [network.logits(part) for part in images]
    found: dict[int, list[np.ndarray]] = {}

    def ask(number: int) -> None:
        found[number] = [network.infer(images[number]) for _ in range(5)]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for number, answers in found.items():
        for answer in answers:
            np.testing.assert_allclose(answer, expected[number], atol=1e-6)
