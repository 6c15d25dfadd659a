import numpy as np
import pytest
import scipy.stats
import torch
import torch.nn.functional as F
from torch import nn

from mnist_core.inference.calibration import (
    TEMPERATURES,
    calibrated,
    confidence_at,
    fit_temperature,
    reliability,
)
from mnist_core.inference.rejection import REJECTED_SHARE, certainty


def drawn(count: int, sharpness: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits and labels drawn from their softmax; the logits then multiplied: `sharpness` is the true temperature."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(count, 10, generator=generator)
    labels = torch.multinomial(logits.softmax(dim=1), 1, generator=generator)[:, 0]
    return (logits * sharpness).numpy(), labels.numpy()


def softmax(logits: np.ndarray) -> np.ndarray:
    """(N, K) float32 → (N, K) float64, by torch: what the library computes in single precision is nearest to it."""
    return torch.from_numpy(logits).double().softmax(dim=1).numpy()


# ---- temperature ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sharpness", [0.4, 1.0, 2.5])
def test_the_temperature_with_which_labels_were_drawn_is_found(sharpness):
    logits, labels = drawn(20_000, sharpness)
    assert fit_temperature(logits, labels) == pytest.approx(sharpness, rel=0.03)


def test_the_temperature_is_the_one_that_gradient_descent_finds():
    logits, labels = drawn(500, 1.7, seed=3)
    log_temperature = nn.Parameter(torch.zeros((), dtype=torch.float64))
    optimizer = torch.optim.LBFGS([log_temperature], max_iter=100, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(torch.from_numpy(logits).double() / log_temperature.exp(), torch.from_numpy(labels))
        loss.backward()
        return loss

    optimizer.step(closure)
    assert fit_temperature(logits, labels) == pytest.approx(log_temperature.exp().item(), rel=1e-3)


def test_the_temperature_stays_in_range_without_mistakes():
    logits = 5 * np.eye(10, dtype=np.float32)
    low, high = TEMPERATURES
    assert low <= fit_temperature(logits, np.arange(10)) < 1
    assert 1 < fit_temperature(logits, np.roll(np.arange(10), 1)) <= high


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_a_temperature_can_be_taken_back_from_the_probabilities(temperature):
    logits, _ = drawn(200, 1.0)
    found = confidence_at(softmax(logits * temperature), temperature)
    np.testing.assert_allclose(found, softmax(logits).max(axis=1), rtol=1e-4)


# ---- reliability ----------------------------------------------------------------------------------------------------


def test_the_error_of_a_case_computed_by_hand():
    # bins of a fifth: (0.4, 0.6] holds 0.5 and 0.6 (one right), (0.8, 1] holds 0.9, 0.9, 1.0 (two right)
    found = reliability(np.array([0.5, 0.9, 0.6, 0.9, 1.0]), np.array([True, True, False, False, True]), bins=5)
    assert found.count.tolist() == [0, 0, 2, 0, 3]
    assert found.confidence[[2, 4]] == pytest.approx([0.55, 2.8 / 3])
    assert found.accuracy[[2, 4]] == pytest.approx([0.5, 2 / 3])
    assert np.isnan(found.confidence[[0, 1, 3]]).all()
    assert found.error == pytest.approx((2 * 0.05 + 3 * (2.8 / 3 - 2 / 3)) / 5)


def test_calibration_bins_are_numpys_and_count_all_answers():
    rng = np.random.default_rng(0)
    confidence, right = rng.random(5000), rng.random(5000) < 0.5
    found = reliability(confidence, right)
    assert len(found.edges) == 16
    np.testing.assert_array_equal(found.count, np.histogram(confidence, 15, (0, 1))[0])
    place = np.digitize(confidence, np.linspace(0, 1, 16)) - 1
    gaps = [abs(right[place == b].mean() - confidence[place == b].mean()) * (place == b).mean() for b in range(15)]
    assert found.error == pytest.approx(sum(gaps))


def test_the_ends_of_the_scale_belong_to_the_end_bins():
    found = reliability(np.array([0.0, 1.0]), np.array([False, True]))
    assert (found.count[0], found.count[-1], found.error) == (1, 1, 0.0)


def test_the_fitted_temperature_lowers_the_error_on_new_answers():
    logits, labels = drawn(20_000, 2.5)
    temperature = fit_temperature(logits[:10_000], labels[:10_000])

    def error(divided: np.ndarray) -> float:
        return reliability(softmax(divided).max(axis=1), divided.argmax(axis=1) == labels[10_000:]).error

    assert error(logits[10_000:]) > 0.1
    assert error(logits[10_000:] / temperature) < 0.015


def test_nothing_to_judge_is_an_error():
    with pytest.raises(ValueError, match="no predictions"):
        reliability(np.zeros(0), np.zeros(0, bool))


# ---- what goes into a card ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [7, 99, 230, 1000, 5001])
def test_at_most_one_percent_lies_below_the_threshold(count):
    logits, labels = drawn(count, 0.5, seed=count)
    card = calibrated(logits, labels)
    refused = (certainty(softmax(logits / card["temperature"])) < card["refuse_below"]).sum()
    assert refused == int(REJECTED_SHARE * count)


def test_a_model_of_full_confidence_has_nothing_rejected():
    logits = np.full((1000, 10), -100, np.float32)
    logits[:, 3] = 100
    card = calibrated(logits, np.full(1000, 3))
    assert card["refuse_below"] <= 1.0
    assert certainty(softmax(logits / card["temperature"])).min() >= card["refuse_below"]


def test_without_validation_images_nothing_is_changed():
    card = calibrated(np.zeros((0, 10), np.float32), np.zeros(0, np.int64))
    assert (card["temperature"], card["refuse_below"]) == (1.0, 0.0)


@pytest.mark.parametrize("classes", [2, 10])
def test_certainty_is_one_minus_normalised_entropy(classes):
    even, sure = np.full(classes, 1 / classes), np.eye(classes)[0]
    assert certainty(np.stack([even, sure])) == pytest.approx([0, 1])
    mixed = np.random.default_rng(0).dirichlet(np.ones(classes), 50)
    expected = [1 - scipy.stats.entropy(row, base=classes) for row in mixed]
    np.testing.assert_allclose(certainty(mixed), expected)
