"""Against a matrix small enough to count by hand, and against scikit-learn called directly."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.stats import binomtest
from sklearn import metrics

from mnist_core.inference.interval import accuracy_text, measured_interval, wilson_interval
from mnist_core.inference.metrics import cross_entropy, evaluate, summarize
from mnist_core.inference.network import Network
from tests.helpers.checkpoints import saved

#       truth: 0  0  0  1  1  2
ANSWERS = [0, 0, 1, 1, 1, 0]


@pytest.fixture
def by_hand():
    logits = np.zeros((6, 3), np.float32)
    for row, (answer, strength) in enumerate(zip(ANSWERS, [3.0, 1.0, 2.0, 4.0, 1.0, 5.0], strict=True)):
        logits[row, answer] = strength
    return summarize(logits, np.array([0, 0, 0, 1, 1, 2]))


def test_three_classes_counted_by_hand(by_hand):
    assert by_hand.confusion.tolist() == [[2, 1, 0], [0, 2, 0], [1, 0, 0]]
    assert by_hand.predicted.tolist() == ANSWERS
    assert by_hand.accuracy == pytest.approx(4 / 6)
    rows = [(c.label, c.precision, c.recall, c.f1, c.support) for c in by_hand.per_class]
    expected = [(0, 2 / 3, 2 / 3, 2 / 3, 3), (1, 2 / 3, 1, 0.8, 2), (2, 0, 0, 0, 1)]
    for row, wanted in zip(rows, expected, strict=True):
        assert row == pytest.approx(wanted)
    assert by_hand.weighted_f1 == pytest.approx((3 * 2 / 3 + 2 * 0.8) / 6)

    def surprise(strength: float, right: bool) -> float:
        return np.log(np.exp(strength) + 2) - (strength if right else 0)

    losses = [surprise(s, r) for s, r in [(3, 1), (1, 1), (2, 0), (4, 1), (1, 1), (5, 0)]]
    assert by_hand.loss == pytest.approx(np.mean(losses))
    assert by_hand.confidence[0] == pytest.approx(np.exp(3) / (np.exp(3) + 2))


def test_mistakes_and_cells_begin_with_the_most_confident(by_hand):
    assert by_hand.mistakes().tolist() == [5, 2]
    assert by_hand.cell(0, 0).tolist() == [0, 1]
    assert by_hand.cell(1, 1).tolist() == [3, 4]
    assert by_hand.cell(2, 0).tolist() == [5]
    assert by_hand.cell(2, 1).tolist() == []


def test_random_answers_have_scikit_learns_figures():
    random = np.random.default_rng(3)
    logits = random.standard_normal((500, 7), np.float32) * 2
    truth = random.integers(0, 6, 500)  # class 6 never occurs
    result = summarize(logits, truth)
    exponentials = np.exp(logits.astype(float))
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    predicted, classes = probabilities.argmax(axis=1), range(7)
    np.testing.assert_allclose(result.probabilities, probabilities, atol=1e-6)
    assert result.accuracy == pytest.approx(metrics.accuracy_score(truth, predicted))
    assert result.loss == pytest.approx(metrics.log_loss(truth, probabilities, labels=classes), rel=1e-5)
    np.testing.assert_array_equal(result.confusion, metrics.confusion_matrix(truth, predicted, labels=classes))
    report = metrics.classification_report(truth, predicted, labels=classes, output_dict=True, zero_division=0)
    assert result.weighted_f1 == pytest.approx(report["weighted avg"]["f1-score"])
    for c in result.per_class:
        theirs = report[str(c.label)]
        assert (c.precision, c.recall, c.f1, c.support) == pytest.approx(
            (theirs["precision"], theirs["recall"], theirs["f1-score"], theirs["support"])
        )
    assert result.per_class[6].support == 0

    wrong = result.mistakes()
    assert sorted(wrong) == np.flatnonzero(predicted != truth).tolist()
    assert np.all(np.diff(probabilities.max(axis=1)[wrong]) <= 1e-6)
    for true in classes:
        for guess in classes:
            cell = result.cell(true, guess)
            assert len(cell) == result.confusion[true, guess]
            assert set(truth[cell]) <= {true}
            assert set(predicted[cell]) <= {guess}


@pytest.mark.parametrize("sharpness", [0.1, 1, 500])
def test_cross_entropy_is_that_of_torch_in_double_precision(sharpness):
    random = np.random.default_rng(0)
    logits = (sharpness * random.standard_normal((300, 10))).astype(np.float32)
    labels = random.integers(0, 10, 300)
    expected = F.cross_entropy(torch.from_numpy(logits).double(), torch.from_numpy(labels)).item()
    assert cross_entropy(logits, labels) == pytest.approx(expected, rel=1e-12)


def test_evaluate_agrees_with_plain_counting(tmp_path, tiny_data):
    checkpoint = saved(tmp_path / "c", temperature=1.7)
    images, labels = tiny_data.train_images, tiny_data.train_labels
    with torch.no_grad():
        logits = checkpoint.model(torch.from_numpy(images) / 255).double()
    shares: list[float] = []
    result = evaluate(Network(checkpoint), images, labels, shares.append)
    assert result.accuracy == (logits.argmax(dim=1).numpy() == labels).mean()
    assert result.loss == pytest.approx(F.cross_entropy(logits, torch.from_numpy(labels)).item(), rel=1e-5)
    np.testing.assert_allclose(result.probabilities, logits.softmax(dim=1), atol=1e-5)
    assert shares[-1] == 1


@pytest.mark.parametrize(("right", "images"), [(0, 10), (10, 10), (9979, 10_000), (1, 2), (43, 61)])
def test_the_interval_of_an_accuracy_is_scipys(right, images):
    expected = binomtest(right, images).proportion_ci(method="wilson")
    assert wilson_interval(right, images) == pytest.approx((expected.low, expected.high), abs=1e-7)


def test_no_images_say_nothing_of_an_accuracy():
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_the_interval_of_a_card_needs_the_number_of_images():
    metrics = {"test_accuracy": 0.9963, "test_images": 10_000.0, "val_accuracy": 0.9955}
    assert measured_interval(metrics, "test") == wilson_interval(9963, 10_000)
    assert measured_interval(metrics, "val") is None
    assert measured_interval({}, "test") is None


def test_an_accuracy_is_written_with_its_interval():
    low, high = wilson_interval(9963, 10_000)
    assert accuracy_text(0.9963, 10_000) == f"99.63% ({100 * low:.2f}–{100 * high:.2f})" == "99.63% (99.49–99.73)"
    assert accuracy_text(0.9963, 0) == accuracy_text(0.9963, None) == "99.63%"
