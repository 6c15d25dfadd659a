import numpy as np
import pytest
import torch

from mnist_core.explain import faithfulness
from mnist_core.explain.faithfulness import SHARES, Deletion, deletion, record, shown_methods
from mnist_core.explain.saliency import METHODS
from mnist_core.models.checkpoint import SHIPPED, read_card, shipped_names


def linear(weights: np.ndarray) -> torch.nn.Module:
    """A model of one dense layer with two classes, the second of score 0."""
    from mnist_core.models.classifier import Classifier

    dense = torch.nn.Linear(weights.size, 2)
    with torch.no_grad():
        dense.weight.zero_()
        dense.weight[0] = torch.from_numpy(weights).flatten()
        dense.bias.zero_()
    return Classifier(torch.nn.Sequential(torch.nn.Flatten(), dense), [0.0], [1.0]).eval()


def test_blanking_salient_ink_of_a_linear_model_by_hand():
    """Of 20 pixels of ink, one carries the class: it is the first to go."""
    weights = np.zeros((5, 4), np.float32)
    weights[2, 1] = 3.0
    images = np.full((6, 1, 5, 4), 255, np.uint8)
    found = deletion(linear(weights), images, "integrated-gradients")
    np.testing.assert_allclose(found.before, 1 / (1 + np.exp(-3)), rtol=1e-5)
    np.testing.assert_allclose(found.salient, 0.5, rtol=1e-5)
    likely = 0.5 * 0.05 + 0.95 / (1 + np.exp(-3))  # the one pixel is among 1 of 20 with probability 0.05
    assert found.random[:, 0].mean() == pytest.approx(likely, abs=0.06)
    assert found.random.shape == (6, len(SHARES))
    assert found.advantage[1] > 0


def test_a_map_against_the_class_fails():
    gains = np.array([-0.1, -0.2, -0.1, -0.3])
    deleted = Deletion(np.ones(4), np.tile((0.5 - gains)[:, None], 5), np.full((4, 5), 0.5))
    mean, low, high = deleted.advantage
    assert mean == pytest.approx(-0.175)
    assert (high - low) / 2 == pytest.approx(1.96 * np.std(gains, ddof=1) / 2)


def test_a_method_that_failed_is_not_offered(monkeypatch):
    rows = [
        {"weights_sha256": "a", "method": "grad-cam", "low": -0.01},
        {"weights_sha256": "a", "method": "occlusion", "low": 0.2},
    ]
    monkeypatch.setattr(faithfulness, "record", lambda: rows)
    assert shown_methods("a") == ("integrated-gradients", "occlusion")
    assert shown_methods("b") == METHODS


def test_the_record_has_every_method_of_every_shipped_model():
    wanted = {(read_card(SHIPPED / name).weights_sha256, method) for name in shipped_names() for method in METHODS}
    assert {(row["weights_sha256"], row["method"]) for row in record()} >= wanted
    assert all(row["low"] <= row["mean"] <= row["high"] for row in record())
    assert all(row["images"] == 500 for row in record())
